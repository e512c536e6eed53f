"""The pitfalls of the client and the API: errors taken for success, hangs, HTTP_PROXY, one address per process."""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from toxiproxy.api import APIConsumer

from harness.machine.toxiproxy import client as toxiproxy_client
from harness.machine.toxiproxy.client import Api, check_toxic
from harness.values.endpoint import Endpoint
from harness.values.errors import HarnessError, ProxyLost

NOWHERE = Endpoint("127.0.0.1", 9)
LIMIT_SECONDS = 10


@contextlib.contextmanager
def answering(status: int, body: str = "", hangs: bool = False) -> Iterator[Endpoint]:
    """An HTTP server that gives every request the same answer, or none."""
    over = threading.Event()

    class Handler(BaseHTTPRequestHandler):
        def answer(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length") or 0))
            if hangs:
                over.wait(LIMIT_SECONDS)
                return
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body.encode())

        do_GET = do_POST = do_DELETE = answer

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield Endpoint("127.0.0.1", server.server_address[1])
        finally:
            over.set()
            server.shutdown()
            thread.join()


EVERY_CALL = [
    lambda api: api.proxies(),
    lambda api: api.version(),
    lambda api: api.proxy("name"),
    lambda api: api.populate([("name", NOWHERE)]),
    lambda api: api.received_bytes(),
    lambda api: api.delete(_remote()),
    lambda api: api.switch(_remote(), True),
    lambda api: api.add_toxic(_remote(), "name", "latency", "upstream", 1.0, {}),
    lambda api: api.update_toxic(_remote(), "name", 1.0, {}),
    lambda api: api.remove_toxic(_remote(), "name"),
]


def _remote() -> toxiproxy_client.RemoteProxy:
    return toxiproxy_client.RemoteProxy(name="name", upstream="u", enabled=True, listen="l")


@pytest.mark.parametrize("call", EVERY_CALL)
@pytest.mark.parametrize("status", [500, 503])
def test_a_server_error_is_a_lost_proxy(call: Callable[[Api], object], status: int):
    """The client alone takes it for a success, or raises KeyError."""
    with answering(status, "<html>Timeout</html>") as address, contextlib.closing(Api(address)) as api:
        with pytest.raises(ProxyLost, match=f"answered {status}: <html>Timeout"):
            call(api)


@pytest.mark.parametrize("call", EVERY_CALL)
def test_a_hang_is_a_lost_proxy(call: Callable[[Api], object], monkeypatch: pytest.MonkeyPatch):
    """The client alone would wait for ever."""
    monkeypatch.setattr(toxiproxy_client, "READ_S", 0.05)
    with answering(200, hangs=True) as address, contextlib.closing(Api(address)) as api:
        with pytest.raises(ProxyLost, match="no answer"):
            call(api)


@pytest.mark.parametrize(("status", "body"), [(403, "User agent not allowed"), (405, ""), (302, ""), (200, "<html>")])
def test_something_else_that_answers_is_an_error(status: int, body: str):
    """It is not a lost proxy, and its answer is not used."""
    with answering(status, body) as address, contextlib.closing(Api(address)) as api:
        with pytest.raises(HarnessError, match="is it a toxiproxy-server") as error:
            api.proxies()
        assert not isinstance(error.value, ProxyLost)


@pytest.mark.parametrize(
    ("body", "version"),
    [('{"version": "2.12.0"}\n', "2.12.0"), ('{"version": "2.6.0"}\\n', "2.6.0"), ("2.5.0", "2.5.0"), ("git", "git")],
)
def test_the_version_is_read_from_every_release(body: str, version: str):
    """2.6 answers malformed JSON, older ones plain text."""
    with answering(200, body) as address, contextlib.closing(Api(address)) as api:
        assert api.version() == version


def test_proxies_of_the_environment_are_ignored(monkeypatch: pytest.MonkeyPatch):
    """With HTTP_PROXY every call of the client would go elsewhere."""
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, f"http://{NOWHERE}")
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    with answering(200, "{}") as address, contextlib.closing(Api(address)) as api:
        assert api.proxies() == {}


def test_a_second_address_in_one_process_is_an_error_not_cross_talk():
    """The client keeps its address on a class."""
    with answering(200, "{}") as first, answering(200, "{}") as second:
        api = Api(first)
        api.proxies()
        with contextlib.closing(Api(second)) as other:
            assert other.proxies() == {}
        with pytest.raises(HarnessError, match="one address per process"):
            api.proxies()
        APIConsumer.host, APIConsumer.port = first.host, first.port
        assert api.proxies() == {}
        api.close()


def test_other_users_of_requests_are_not_affected():
    """The client's module has the transport only during a call."""
    before = toxiproxy_client.toxiproxy.api.requests
    with answering(200, "{}") as address, contextlib.closing(Api(address)) as api:
        api.proxies()
    assert toxiproxy_client.toxiproxy.api.requests is before


@pytest.mark.parametrize(
    ("kind", "stream", "toxicity", "attributes", "said"),
    [
        ("slicer", "upstream", 1.0, {}, "at least 1"),
        ("slicer", "upstream", 1.0, {"average_size": 5, "size_variation": 5}, "above size_variation"),
        ("bandwidth", "upstream", 1.0, {"rate": -1}, "not a whole number"),
        ("latency", "upstream", 1.0, {"latency": 1.5}, "not a whole number"),
        ("latency", "upstream", 1.0, {"latency": True}, "not a whole number"),
        ("latency", "upstream", 1.0, {"rate": 1}, "has no attribute 'rate'"),
        ("latency", "both", 1.0, {}, "neither upstream nor downstream"),
        ("latency", "upstream", 1.5, {}, "between 0 and 1"),
        ("blackhole", "upstream", 1.0, {}, "no toxic 'blackhole'"),
    ],
)
def test_what_would_harm_the_server_is_not_sent(kind: str, stream: str, toxicity: float, attributes: dict, said: str):
    """Some of these crash the server, and every proxy with it."""
    with pytest.raises(HarnessError, match=said):
        check_toxic(kind, stream, toxicity, attributes)


def test_counters_are_read_by_proxy_and_direction():
    """In the server's own format."""
    name = "toxiproxy_proxy_received_bytes_total"
    body = "\n".join(
        [
            f"# HELP {name}",
            f'{name}{{direction="upstream",listener="l",proxy="a-1",upstream="u"}} 12',
            f'{name}{{direction="downstream",listener="l",proxy="a-1",upstream="u"}} 1.5e+07',
            'toxiproxy_proxy_sent_bytes_total{direction="upstream",listener="l",proxy="a-1",upstream="u"} 99',
        ]
    )
    with answering(200, body) as address, contextlib.closing(Api(address)) as api:
        assert api.received_bytes() == {("a-1", "upstream"): 12, ("a-1", "downstream"): 15_000_000}
    with answering(404, json.dumps({})) as address, contextlib.closing(Api(address)) as api:
        assert api.received_bytes() is None
