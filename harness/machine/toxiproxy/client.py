"""The one user of toxiproxy-python: its client, with timeouts and typed errors, and without HTTP_PROXY."""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias
from urllib.parse import urlsplit

import toxiproxy.api
import urllib3
from toxiproxy.api import APIConsumer
from toxiproxy.exceptions import InvalidToxic, NotFound, ProxyExists
from toxiproxy.proxy import Proxy

from harness.machine.toxiproxy import token
from harness.values.endpoint import Endpoint
from harness.values.errors import HarnessError, ProxyLost

CONNECT_S = 1.0
READ_S = 5.0
"""The API answers in a millisecond. A wedged server answers 503 after 25 s; five seconds show that it is wedged."""

ATTRIBUTES: Mapping[str, tuple[str, ...]] = {
    "latency": ("latency", "jitter"),
    "bandwidth": ("rate",),
    "slow_close": ("delay",),
    "timeout": ("timeout",),
    "reset_peer": ("timeout",),
    "slicer": ("average_size", "size_variation", "delay"),
    "limit_data": ("bytes",),
}
"""Toxiproxy's toxics and their attributes."""

_MESSAGE = ("key", "nth", "times", "per")
EXTENSIONS: Mapping[str, tuple[str, ...]] = {
    "x_cut": ("bytes", "how", "query", "reply", "when", *_MESSAGE),
    "x_stall": ("duration",),
    "x_rst_now": (),
    "x_half_close": (),
    "x_refuse": ("mode", "first"),
    "x_backlog": (),
    "x_accept_never_read": (),
    "x_drop_query": ("query", *_MESSAGE),
    "x_drop_reply": ("reply", *_MESSAGE),
    "x_hold": ("query", "reply", "duration", *_MESSAGE),
}
"""The additional toxics of the embedded engine; the real server refuses them."""

Attributes: TypeAlias = "Mapping[str, int | str]"
"""Of a toxic: whole numbers in Toxiproxy's units; those of an extension may be words too."""

# The client keeps host and port on a class and calls module-level functions of `requests`, which have no timeouts and
# obey HTTP_PROXY. `_call` puts a `_Transport` under that name in its module; a client of another shape is refused.
if not hasattr(toxiproxy.api, "requests") or not {"host", "port", "get", "post", "delete"} <= set(vars(APIConsumer)):
    raise HarnessError("this toxiproxy-python differs from 0.1.1; install toxiproxy-python==0.1.1")

_client_requests = toxiproxy.api.requests

RemoteProxy: TypeAlias = Proxy
"""The client's proxy: `name`, `listen`, `upstream` and `enabled`, as the server reported them."""

_lock = threading.RLock()


@dataclass(frozen=True)
class _Response:
    """A response, as far as the client reads it."""

    status_code: int
    content: bytes

    @property
    def text(self) -> str:
        return self.content.decode(errors="replace")

    def json(self) -> Any:
        return json.loads(self.content)


class _Transport:
    """What the client uses as the module `requests`: one persistent connection, with timeouts, without the environment.

    urllib3 alone, without a session of requests on top of it, halves the time of a call.
    """

    def __init__(self, address: Endpoint, headers: Mapping[str, str]) -> None:
        self._pool = urllib3.HTTPConnectionPool(address.host, address.port, maxsize=1, retries=False, headers=headers)

    def get(self, url: str, params: None = None, **options: Any) -> _Response:
        return self._send("GET", url, **options)

    def post(self, url: str, data: None = None, json: object = None, **options: Any) -> _Response:
        return self._send("POST", url, body=json, **options)

    def delete(self, url: str, **options: Any) -> _Response:
        return self._send("DELETE", url, **options)

    def close(self) -> None:
        self._pool.close()

    def _send(self, method: str, url: str, body: object = None, read_s: float | None = None) -> _Response:
        limits = urllib3.Timeout(connect=CONNECT_S, read=READ_S if read_s is None else read_s)
        content = None if body is None else json.dumps(body)
        try:
            answer = self._pool.request(method, urlsplit(url).path, body=content, timeout=limits, redirect=False)
        except urllib3.exceptions.HTTPError as error:
            raise ProxyLost(f"no answer to {method} {url} ({error}); the server must be restarted") from error
        response = _Response(answer.status, answer.data)
        summary = f"{method} {url} answered {response.status_code}: {' '.join(response.text.split())[:200]}"
        if response.status_code == 401:
            raise HarnessError(f"{summary}; set {token.VARIABLE} to the token of that server")
        if response.status_code >= 500:
            raise ProxyLost(f"{summary}; the server must be restarted")
        if response.status_code >= 300 and response.status_code not in (400, 404, 409):
            raise HarnessError(f"{summary}; is it a toxiproxy-server that listens there?")
        return response


class Api:
    """Toxiproxy's HTTP API at one address.

    The client has one address per process: a second Api for another address changes it, and then the first raises
    HarnessError instead of calling the wrong server. After one ProxyLost every call raises ProxyLost.

    Args:
        secret: the token of the server, which the client itself cannot send; empty for none.
    """

    def __init__(self, address: Endpoint, secret: str = "") -> None:
        self.address = address
        self._transport = _Transport(address, token.header(secret))
        self._lost: ProxyLost | None = None
        self._where = (f"[{address.host}]" if ":" in address.host else address.host, address.port)
        with _lock:
            APIConsumer.host, APIConsumer.port = self._where

    def close(self) -> None:
        self._transport.close()

    # -- proxies -------------------------------------------------------------------------------------------------------

    def version(self) -> str:
        """The server's version; `git` for an unreleased build. 2.5 answers plain text, 2.6 malformed JSON."""
        text: str = self._call(APIConsumer.get, "/version").text.strip()
        try:
            return str(json.loads(text)["version"])
        except (ValueError, KeyError, TypeError):
            return text.strip("{}\\n ").rpartition(":")[2].strip(' "')

    def proxies(self) -> dict[str, RemoteProxy]:
        """All proxies of the server by name, including those of others."""
        return {name: RemoteProxy(**fields) for name, fields in self._read(APIConsumer.get, "/proxies").items()}

    def proxy(self, name: str) -> RemoteProxy:
        """One proxy; raises HarnessError if it is gone."""
        return RemoteProxy(**self._read(APIConsumer.get, f"/proxies/{name}"))

    def populate(self, proxies: Sequence[tuple[str, Endpoint]], listen: str = "127.0.0.1") -> list[RemoteProxy]:
        """Make proxies from (name, upstream) pairs on free ports of one address, in one request, in order."""
        any_port = str(Endpoint(listen, 0))
        wanted = [{"name": name, "listen": any_port, "upstream": str(upstream)} for name, upstream in proxies]
        answer = self._read(APIConsumer.post, "/populate", json=wanted)
        made = [RemoteProxy(**fields) for fields in answer.get("proxies") or ()]
        if [proxy.name for proxy in made] != [name for name, _ in proxies]:
            raise ProxyLost(f"asked for {len(wanted)} proxies, toxiproxy-server made {len(made)}; it must be restarted")
        return made

    def delete(self, proxy: RemoteProxy) -> None:
        """Delete a proxy; one that is gone already is no error."""
        self._forgiving(proxy.destroy)

    def switch(self, proxy: RemoteProxy, enabled: bool) -> None:
        """Enable or disable a proxy, and verify it: the client itself never looks at the result."""
        self._call(proxy.enable if enabled else proxy.disable)
        now = self.proxy(proxy.name)
        if now.enabled != enabled or now.listen != proxy.listen:
            raise ProxyLost(
                f"proxy {proxy.name} should be {'enabled' if enabled else 'disabled'} on {proxy.listen}, "
                f"and is {'enabled' if now.enabled else 'disabled'} on {now.listen}; the server must be restarted"
            )

    # -- toxics --------------------------------------------------------------------------------------------------------

    def add_toxic(
        self, proxy: RemoteProxy, name: str, kind: str, stream: str, toxicity: float, attributes: Attributes
    ) -> None:
        """Add a toxic at the end of the chain, and verify that the server has what was asked for."""
        check_toxic(kind, stream, toxicity, attributes)
        self._call(proxy.add_toxic, name=name, type=kind, stream=stream, toxicity=toxicity, attributes=dict(attributes))
        self._compare(proxy, name, {"type": kind, "stream": stream}, toxicity, attributes)

    def update_toxic(self, proxy: RemoteProxy, name: str, toxicity: float, attributes: Attributes) -> None:
        """Change a toxic, which the client has no method for."""
        wanted = {"toxicity": toxicity, "attributes": dict(attributes)}
        self._call(APIConsumer.post, f"/proxies/{proxy.name}/toxics/{name}", json=wanted)
        self._compare(proxy, name, {}, toxicity, attributes)

    def remove_toxic(self, proxy: RemoteProxy, name: str, countdown_s: float = 0) -> None:
        """Remove a toxic; one that is gone already is no error. A `reset_peer` answers after its countdown."""
        self._forgiving(APIConsumer.delete, f"/proxies/{proxy.name}/toxics/{name}", read_s=READ_S + countdown_s)

    def received_bytes(self) -> dict[tuple[str, str], int] | None:
        """Bytes of *ended* connections by (proxy, direction); None unless the server runs with -proxy-metrics."""
        try:
            text = self._call(APIConsumer.get, "/metrics").text
        except _Refused:
            return None
        counted: dict[tuple[str, str], int] = {}
        for line in text.splitlines():
            if line.startswith("toxiproxy_proxy_received_bytes_total{"):
                labels, _, number = line.rpartition("} ")
                key = (_label(labels, "proxy"), _label(labels, "direction"))
                counted[key] = counted.get(key, 0) + int(float(number))
        return counted

    # -- the border ----------------------------------------------------------------------------------------------------

    def _compare(
        self, proxy: RemoteProxy, name: str, words: Mapping[str, str], toxicity: float, attributes: Attributes
    ) -> None:
        stored = self._call(proxy.get_toxic, name)
        fields = vars(stored) if stored is not None else {}
        alike = all(fields.get(key) == value for key, value in words.items())
        alike = alike and attributes.items() <= fields.get("attributes", {}).items()
        if not alike or abs(fields.get("toxicity", -1) - toxicity) > 1e-6:  # the server keeps toxicity in 32 bits
            asked = {**words, "toxicity": toxicity, "attributes": dict(attributes)}
            raise ProxyLost(f"toxic {name} of {proxy.name}: asked for {asked}, the server has {fields or 'nothing'}")

    def _forgiving(self, verb: Any, *arguments: Any, **options: Any) -> None:
        try:
            self._call(verb, *arguments, **options)
        except _Refused as refused:
            if not isinstance(refused.__cause__, NotFound):
                raise

    def _read(self, verb: Any, *arguments: Any, **options: Any) -> dict[str, Any]:
        """The JSON object in the response of a call."""
        answer = self._call(lambda: verb(*arguments, **options).json())
        if not isinstance(answer, dict):
            raise HarnessError(f"{self.address} answered {answer!r}; is it a toxiproxy-server that listens there?")
        return answer

    def _call(self, verb: Any, *arguments: Any, **options: Any) -> Any:
        """One call of the client, through `_Transport`; its errors become those of the harness."""
        with _lock:
            if self._lost is not None:
                raise ProxyLost(f"the server was lost before: {self._lost}")
            if (APIConsumer.host, APIConsumer.port) != self._where:
                raise HarnessError(
                    f"other code in this process changed toxiproxy-python's address from {self.address} to "
                    f"{APIConsumer.host}:{APIConsumer.port}; it has one address per process: use one server"
                )
            toxiproxy.api.requests = self._transport
            try:
                return verb(*arguments, **options)
            except ProxyLost as lost:
                self._lost = lost
                raise
            except (NotFound, InvalidToxic, ProxyExists) as refused:
                raise _Refused(f"toxiproxy-server at {self.address} refuses: {_reason(refused)}") from refused
            except (KeyError, TypeError, ValueError) as odd:
                raise HarnessError(
                    f"cannot read the answer of {self.address} ({odd!r}); is it a toxiproxy-server?"
                ) from odd
            finally:
                toxiproxy.api.requests = _client_requests


class _Refused(HarnessError):
    """The server answered 400, 404 or 409."""


def check_toxic(kind: str, stream: str, toxicity: float, attributes: Attributes) -> None:
    """Raise HarnessError for values that the server would misread, or that would crash it with all its proxies."""
    known = {**ATTRIBUTES, **EXTENSIONS}
    problems = [
        *([f"there is no toxic {kind!r}"] if kind not in known else []),
        *([f"{stream!r} is neither upstream nor downstream"] if stream not in ("upstream", "downstream") else []),
        *([f"toxicity {toxicity!r} is not between 0 and 1"] if not 0 <= toxicity <= 1 else []),
        *(f"{kind} has no attribute {name!r}" for name in attributes if name not in known.get(kind, attributes)),
        *(
            f"{name} {value!r} is not a whole number from 0 on"
            for name, value in attributes.items()
            if not _is_whole(value) and not (kind in EXTENSIONS and isinstance(value, str))
        ),
    ]
    if kind == "slicer" and not problems:
        average, variation = (int(attributes.get(name, 0)) for name in ("average_size", "size_variation"))
        if average < 1 or variation >= average:
            problems.append(f"average_size {average} must be at least 1 and above size_variation {variation}")
    if problems:
        raise HarnessError(f"not sent to the proxy server: {'; '.join(problems)}")


def _is_whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 1 << 63


def _reason(refused: Exception) -> str:
    content = refused.args[0] if refused.args else b""
    return content.decode(errors="replace").strip() if isinstance(content, bytes) else str(content)


def _label(labels: str, name: str) -> str:
    return labels.partition(f'{name}="')[2].partition('"')[0]
