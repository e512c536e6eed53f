"""Both servers through toxiproxy-python, as the harness drives it."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator

import pytest
from backends import Backend, Upstream, is_open

from harness.machine.toxiproxy.client import Api
from harness.values.endpoint import Endpoint
from harness.values.errors import HarnessError, ProxyLost


@pytest.fixture
def api(backend: Backend) -> Iterator[Api]:
    """The client, connected to the server."""
    made = Api(backend.api)
    yield made
    made.close()


def upstream_of(upstream: Upstream) -> Endpoint:
    return Endpoint.parse(str(upstream))


def test_proxies_are_made_found_and_deleted(api: Api, upstream: Upstream):
    """One request makes them all, in order."""
    made = api.populate([("a", upstream_of(upstream)), ("b", upstream_of(upstream))])
    assert [proxy.name for proxy in made] == ["a", "b"]
    assert api.proxies().keys() == {"a", "b"}
    with socket.create_connection(Endpoint.parse(made[0].listen).connectable) as client, upstream.accept() as server:
        assert is_open(client, server)
    api.delete(made[0])
    assert api.proxies().keys() == {"b"}


def test_toxics_go_round(api: Api, upstream: Upstream):
    """Toxics are added, verified, changed and removed."""
    (proxy,) = api.populate([("a", upstream_of(upstream))])
    api.add_toxic(proxy, "slow", "latency", "upstream", 0.5, {"latency": 5})
    api.update_toxic(proxy, "slow", 1.0, {"latency": 7, "jitter": 1})
    api.remove_toxic(proxy, "slow", 0)
    with pytest.raises(HarnessError):
        api.update_toxic(proxy, "slow", 1.0, {"latency": 7})


def test_a_proxy_is_switched_off_and_on(api: Api, upstream: Upstream):
    """While it is off, clients are refused."""
    (proxy,) = api.populate([("a", upstream_of(upstream))])
    api.switch(proxy, enabled=False)
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(Endpoint.parse(proxy.listen).connectable)
    api.switch(proxy, enabled=True)
    with socket.create_connection(Endpoint.parse(proxy.listen).connectable) as client, upstream.accept() as server:
        assert is_open(client, server)


def test_errors_are_typed(api: Api, upstream: Upstream):
    """A taken port is a lost proxy; a second toxic of one name is a refusal that says so."""
    (proxy,) = api.populate([("a", upstream_of(upstream))])
    api.add_toxic(proxy, "t", "latency", "upstream", 1.0, {"latency": 5})
    with pytest.raises(HarnessError, match="toxic already exists"):
        api.add_toxic(proxy, "t", "latency", "upstream", 1.0, {"latency": 5})
    with pytest.raises(ProxyLost):
        api.populate([("b", upstream_of(upstream))], listen="192.0.2.1")


def test_a_server_that_does_not_answer_is_lost(monkeypatch: pytest.MonkeyPatch):
    """The error comes within the client's own time limit."""
    monkeypatch.setattr("harness.machine.toxiproxy.client.READ_S", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as mute:
        accepting = threading.Thread(target=mute.accept)
        accepting.start()
        with pytest.raises(ProxyLost, match="no answer"):
            Api(Endpoint("127.0.0.1", mute.getsockname()[1])).version()
        accepting.join()


def test_a_proxy_in_the_environment_is_ignored(api: Api, monkeypatch: pytest.MonkeyPatch):
    """HTTP_PROXY does not apply to loopback."""
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    assert api.version()
    assert api.proxies() == {}
