"""Requests to the engine's API, drawn from a seed: right ones, wrong ones, and bytes that are no HTTP."""

from __future__ import annotations

import json
from random import Random
from typing import Any
from urllib.parse import quote

NAMES = ("a", "a", "b", "b", "a/b", "..", "é b", "", "\ud800", "\0", "n" * 2000, "%2F")
# Of addresses only those that need no name service.
LISTENS = ("127.0.0.1:0", "", "nonsense", "[::1]:0", "127.0.0.1:notaport", "127.0.0.1:99999", "[", "::1")
UPSTREAMS = ("127.0.0.1:9", "", "nonsense")
KINDS = ("latency", "bandwidth", "slow_close", "timeout", "reset_peer", "slicer", "limit_data", "noop", "x_cut")
KINDS += ("x_stall", "x_half_close", "x_rst_now", "x_refuse", "x_backlog", "x_accept_never_read", "x_drop_query")
KINDS += ("x_drop_reply", "x_hold", "LATENCY", "")
ATTRIBUTES = ("latency", "jitter", "rate", "delay", "timeout", "bytes", "average_size", "size_variation", "how", "mode")
ATTRIBUTES += ("first", "duration", "query", "reply", "key", "nth", "times", "per", "when")
WORDS = ("fin", "rst", "silence", "closed", "before", "after", "proxy", "connection", "add", "get", "*", "stall")
NUMBERS = (0, 1, -1, 5, 100, 1 << 31, (1 << 63) - 1, 1 << 63, -(1 << 63), 1 << 200, 0.5, 1e308, -0.0, float("nan"))
METHODS = ("GET", "POST", "PATCH", "DELETE", "PUT", "HEAD", "OPTIONS", "NONSENSE", "get", "CONNECT")
RAW_JSON = (
    b"",
    b"null",
    b"[" * 100_000,
    b'{"a":' * 50_000,
    b"9" * 10_000,
    b"1e999999",
    b'{"name": "\xff\xfe"}',
    b"\xef\xbb\xbf{}",
    b'{"name": "a", "upstream"',
    b"{}" * 1000,
    b'"\\ud800"',
    b"\0" * 100,
    b"[" + b"{}," * 20_000 + b"{}]",
)
HEADERS = (
    b"Content-Type: text/plain",
    b"Origin: http://attacker.example",
    b"Origin: null",
    b"Sec-Fetch-Site: cross-site",
    b"Host: attacker.example",
    b"Expect: 100-continue",
    b"Connection: close",
    b"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: x\r\nSec-WebSocket-Version: 13",
    b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c",
    b"Transfer-Encoding: chunked",
    b"Transfer-Encoding: gzip, chunked",
    b"Content-Length: 5",
    b"Content-Length: -1",
    b"Content-Length: 99999999999999999999",
    b"Content-Encoding: gzip",
    b"User-Agent: Mozilla/5.0",
    b"Authorization: Bearer \xff",
    b"X-Long: " + b"x" * 20_000,
    b"X-Bad\x00: 1",
    b" folded: 1",
    b"Host:",
)
TARGETS = ("*", "//", "/proxies/", "/%", "/%zz", "http://localhost/version", "/\\", "?", "/#", "/x/events?since")
GARBAGE = (
    b"\r\n\r\n",
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",  # the beginning of TLS
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    b"GET\r\n\r\n",
    b"GET / HTTP/9.9\r\n\r\n",
    b"\0" * 1000,
    b"A" * 100_000,
)


def drawn(chance: Random) -> bytes:
    """The bytes of one connection."""
    if chance.random() < 0.05:
        return chance.choice((*GARBAGE, chance.randbytes(chance.randrange(200))))
    requests = b"".join(_request(chance) for _ in range(chance.choice((1, 1, 1, 1, 2, 5))))
    # A broken address would be looked up by name, outside this machine.
    if chance.random() < 0.2 and b"listen" not in requests.lower():
        return _broken(chance, requests)
    return requests


def _request(chance: Random) -> bytes:
    method, target, body = _wanted(chance)
    if chance.random() < 0.2:
        method = chance.choice(METHODS)
    headers = [b"Host: localhost"] if chance.random() < 0.98 else []
    headers += chance.choices(HEADERS, k=chance.choice((0, 0, 0, 0, 1, 2)))
    if chance.random() < 0.1:
        headers.append(b"Transfer-Encoding: chunked")
        body = b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in (body[:7], body[7:]) if part) + b"0\r\n\r\n"
    elif body and chance.random() < 0.97:
        headers.append(b"Content-Length: %d" % (len(body) + chance.choice((0,) * 20 + (-1, 1, 5))))
    return b"\r\n".join([f"{method} {target} HTTP/1.{chance.choice('11110')}".encode(), *headers, b"", body])


def _wanted(chance: Random) -> tuple[str, str, bytes]:
    """Method, target and body."""
    name, other = _segment(chance), _segment(chance)
    number = chance.choice(("0", "1", "2", "999999999999999999", "9" * 30, "-1", "x"))
    method, target, shape = chance.choice(
        (
            ("POST", "/proxies", _proxy),
            ("POST", "/proxies", _proxy),
            ("GET", "/proxies", _junk),
            ("POST", "/populate", lambda chance: [_proxy(chance) for _ in range(chance.randrange(4))]),
            ("POST", "/reset", _junk),
            ("GET", "/version", _junk),
            ("PATCH", f"/proxies/{name}", _proxy),
            ("DELETE", f"/proxies/{name}", _junk),
            ("POST", f"/proxies/{name}/toxics", _toxic),
            ("POST", f"/proxies/{name}/toxics", _toxic),
            ("POST", f"/proxies/{name}/toxics", _toxic),
            ("GET", f"/proxies/{name}/toxics", _junk),
            ("POST", f"/proxies/{name}/toxics/{other}", _toxic),
            ("DELETE", f"/proxies/{name}/toxics/{other}", _junk),
            ("GET", "/x", _junk),
            ("GET", f"/x/messages?since={number}&proxy={name}&proxy=", _junk),
            ("GET", f"/x/events?since={number}&wait_ms={chance.choice(('0', '1', 'x', '-1'))}&proxy={name}", _junk),
            ("GET", f"/x/connections?proxy={name}", _junk),
            ("DELETE", f"/x/connections/{number}?how={chance.choice(('fin', 'rst', '%00'))}", _junk),
            ("POST", "/x/proxies", lambda chance: {**_proxy(chance), "toxics": [_toxic(chance), _junk(chance)]}),
            ("POST", "/x/proxies", lambda chance: {**_proxy(chance), "toxics": [_toxic(chance)]}),
            ("POST", f"/x/proxies/{name}/labels", _labels),
            ("POST", "/x/partition", _partition),
            ("DELETE", f"/x/partition/{number}", _junk),
            ("POST", "/x/moments", _moment),
            ("DELETE", f"/x/moments/{number}", _junk),
            ("POST", f"/x/moments/{number}/release", _junk),
            ("GET", f"/{name}/{other}", _junk),
            ("GET", chance.choice(TARGETS), _junk),
        )
    )
    if chance.random() < 0.15:
        return method, target, chance.choice(RAW_JSON)
    value = shape(chance) if chance.random() < 0.85 else _junk(chance)
    return method, target, json.dumps(_spoiled(chance, value)).encode()


def _segment(chance: Random) -> str:
    name = chance.choice((*NAMES, "a", "a", "b", "latency_downstream", "noop_upstream", "%FF"))
    return quote(name.encode("utf-8", "surrogatepass"), safe=chance.choice(("", "/%")))


def _proxy(chance: Random) -> dict[str, Any]:
    return {
        "name": chance.choice((*NAMES, "a", "a", "b", "b")),
        "listen": chance.choice((*LISTENS, "127.0.0.1:0", "127.0.0.1:0")),
        "upstream": chance.choice((*UPSTREAMS, "127.0.0.1:9")),
        "enabled": chance.choice((True, True, False, None)),
    }


def _toxic(chance: Random) -> dict[str, Any]:
    return {
        "name": chance.choice(("", "", *NAMES)),
        "type": chance.choice(KINDS),
        "stream": chance.choice(("upstream", "downstream", "UPSTREAM", "sideways")),
        "toxicity": chance.choice((1, 1, 1, 0.5, *NUMBERS)),
        "attributes": {
            name: chance.choice((1, 100, *NUMBERS, *WORDS)) for name in chance.sample(ATTRIBUTES, chance.randrange(4))
        },
    }


def _labels(chance: Random) -> dict[str, Any]:
    return {"source": chance.choice(("0", "1", *NAMES)), "target": chance.choice(("0", "1", *NAMES))}


def _partition(chance: Random) -> dict[str, Any]:
    hows = ("stall", "stall_upstream", "blackhole", "refuse", "unreachable", "x", 1)
    if chance.random() < 0.5:
        return {"proxies": chance.choices(NAMES, k=chance.randrange(4)), "how": chance.choice(hows)}
    return {"groups": [["0"], ["1"], chance.choices(NAMES, k=2)], "how": chance.choice(hows)}


def _moment(chance: Random) -> dict[str, Any]:
    name = chance.choice(NAMES)
    actions = (
        {"add_toxic": {"proxy": name, "toxic": _toxic(chance)}},
        {"update_toxic": {"proxy": name, "name": name, "toxic": _junk(chance)}},
        {"remove_toxic": {"proxy": name, "name": name}},
        {"disable": {"proxy": name}},
        {"partition": _partition(chance)},
        {name: _junk(chance)},
        _junk(chance),
    )
    return {
        chance.choice(("query", "reply")): chance.choice((*WORDS, "nonsense")),
        "key": chance.choice(("*", "[", *NAMES)),
        "proxies": chance.choices(NAMES, k=chance.randrange(3)),
        "count": chance.choice((1, 1, *NUMBERS)),
        "plus_ms": chance.choice((0, 1, *NUMBERS)),
        "hold": chance.choice((True, False)),
        "do": chance.choices(actions, k=chance.randrange(3)),
    }


def _junk(chance: Random, depth: int = 0) -> Any:
    kind = chance.randrange(7 if depth < 3 else 5)
    if kind == 5:
        return [_junk(chance, depth + 1) for _ in range(chance.randrange(4))]
    if kind == 6:
        return {chance.choice((*NAMES, *ATTRIBUTES)): _junk(chance, depth + 1) for _ in range(chance.randrange(4))}
    return (None, True, chance.choice(NUMBERS), chance.choice(NAMES), chance.choice(WORDS))[kind]


def _spoiled(chance: Random, value: Any) -> Any:
    """The value, now and then with one field of another type, without it, or with its key in another case."""
    if not isinstance(value, dict) or not value or chance.random() < 0.6:
        return value
    key, changed = chance.choice(sorted(value)), dict(value)
    taken = changed.pop(key)
    way = chance.randrange(3)
    if way == 0:
        changed[key] = _junk(chance)
    elif way == 1:
        changed[key.upper()] = taken
    return changed


def _broken(chance: Random, data: bytes) -> bytes:
    """The bytes with some of them changed, taken out, doubled, or the rest cut off."""
    for _ in range(chance.choice((1, 1, 3, 10))):
        at = chance.randrange(len(data) + 1)
        end = at + chance.choice((1, 1, 4, 30))
        data = chance.choice(
            (
                data[:at] + chance.randbytes(1) + data[at + 1 :],
                data[:at] + data[end:],
                data[:end] + data[at:],
                data[:at],
                data[:at] + chance.choice((b"\r\n", b"\n", b"\0", b" ", b":", b"\xff")) + data[at:],
            )
        )
    return data
