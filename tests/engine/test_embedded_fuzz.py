"""Whatever the API is asked, the engine answers and serves the next request."""

from __future__ import annotations

import contextlib
import json
from typing import Any
from urllib.parse import quote

from backends import Backend, Upstream, is_open
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

NAMES = st.sampled_from(["a", "b", "é b", "", "x/y"]) | st.text(max_size=8)
LISTENS = st.sampled_from(
    ["127.0.0.1:0", "", "nonsense", "[::1]:0", "127.0.0.1:notaport", "127.0.0.1:99999", "[", "::1"]
)
OURS = ["latency", "bandwidth", "slow_close", "timeout", "reset_peer", "slicer", "limit_data", "noop", "LATENCY", ""]
BEYOND = ["x_cut", "x_stall", "x_half_close", "x_rst_now"]
AT_THE_DOOR = ["x_refuse", "x_backlog", "x_accept_never_read"]
NUMBERS = st.integers(-5, 300) | st.integers() | st.floats() | st.none() | st.text(max_size=3) | st.booleans()
ATTRIBUTES = ["latency", "jitter", "rate", "delay", "timeout", "bytes", "average_size", "size_variation"]
ATTRIBUTES += ["how", "mode", "first", "duration"]
JUNK = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)

PROXIES = st.fixed_dictionaries(
    {},
    optional={"name": NAMES, "listen": LISTENS, "upstream": st.just("127.0.0.1:9") | NAMES, "enabled": st.booleans()},
)


def toxics(*kinds: str) -> st.SearchStrategy[dict[str, Any]]:
    """Request bodies that may make a toxic of one of these types."""
    fields = {
        "name": NAMES,
        "type": st.sampled_from(kinds),
        "stream": st.sampled_from(["upstream", "downstream", "UPSTREAM", "sideways"]),
        "toxicity": NUMBERS,
        "attributes": st.dictionaries(st.sampled_from(ATTRIBUTES), NUMBERS) | JUNK,
    }
    return st.fixed_dictionaries({}, optional=fields)


BODIES = st.one_of(
    PROXIES.map(lambda value: json.dumps(value).encode()),
    toxics(*OURS, *BEYOND, *AT_THE_DOOR).map(lambda value: json.dumps(value).encode()),
    st.lists(PROXIES, max_size=3).map(lambda value: json.dumps(value).encode()),
    JUNK.map(lambda value: json.dumps(value).encode()),
    st.binary(max_size=30),
    st.just(b"[" * 20_000),
    st.just(b"1" * 5_000),
)
SEGMENTS = st.sampled_from(["proxies", "toxics", "populate", "reset", "version", "a", "b", "latency_downstream", "x"])
METHODS = st.sampled_from(["GET", "POST", "PATCH", "DELETE", "PUT", "HEAD", "OPTIONS", "NONSENSE"])
KNOWN = ["/proxies", "/populate", "/reset", "/proxies/a", "/proxies/a/toxics", "/version", "/x", "/x/events"]
KNOWN += ["/x/partition", "/x/partition/1", "/x/proxies", "/x/connections/1", "/x/proxies/a/labels"]
PATHS = st.one_of(
    st.sampled_from(KNOWN),
    st.lists(SEGMENTS | NAMES.map(lambda name: quote(name)), max_size=5).map(lambda parts: "/" + "/".join(parts)),
)
ANSWERS = {200, 201, 204, 301, 400, 403, 404, 405, 409}


@settings(
    max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(requests=st.lists(st.tuples(METHODS, PATHS, BODIES), min_size=1, max_size=6))
def test_whatever_is_asked_is_answered(engine: Backend, requests: list[tuple[str, str, bytes]]):
    """The status is one of the API's; 500 comes only for an address that cannot be listened on."""
    for method, path, body in requests:
        answer = engine.ask(method, path, raw=body)
        if answer.status == 500:
            assert answer.error.startswith("listen tcp"), (method, path, body, answer.body)
        else:
            assert answer.status in ANSWERS, (method, path, body, answer)


# Shrinking would wait for every limit of the sockets again; the request itself says enough.
@settings(
    max_examples=40,
    deadline=None,
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
    # On a busy machine drawing an example takes 0.1 s, and ten of them the second that hypothesis allows.
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(chain=st.lists(toxics(*OURS, *BEYOND), max_size=4), payload=st.binary(min_size=1, max_size=100))
def test_whatever_toxics_there_are_the_engine_carries_on(
    engine: Backend, upstream: Upstream, chain: list[Any], payload: bytes
):
    """After bytes into any chain with any values, a proxy without toxics works."""
    proxy = engine.make(upstream)
    for toxic in chain:
        assert engine.ask("POST", f"{proxy.path}/toxics", toxic).status in (200, 400, 409)
    client, server = proxy.connect(), upstream.accept()
    for sock in (client, server):
        with contextlib.suppress(OSError):  # a limit or a reset that acts at once
            sock.sendall(payload)
        sock.close()
    other = engine.make(upstream)
    with other.connect() as client, upstream.accept() as server:
        assert is_open(client, server)
    engine.clean()
