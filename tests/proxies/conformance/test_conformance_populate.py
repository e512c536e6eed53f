"""Reset and populate: toxics are removed from all proxies, and many proxies are made in one request."""

from __future__ import annotations

import socket
from typing import Any

import pytest
from backends import Answer, Backend, Proxy, Upstream, is_open, read

UPSTREAM = "127.0.0.1:9"


def populate(backend: Backend, *proxies: Any) -> Answer:
    return backend.ask("POST", "/populate", list(proxies))


def one(name: str, **more: Any) -> dict[str, Any]:
    return {"name": name, "listen": "127.0.0.1:0", "upstream": UPSTREAM} | more


def same(proxy: Proxy, **more: Any) -> dict[str, Any]:
    """The fields that describe a proxy as it is."""
    shown = proxy.get()
    return {key: shown[key] for key in ("name", "listen", "upstream")} | more


def test_reset_enables_all_and_takes_toxics_away(backend: Backend, proxy: Proxy, upstream: Upstream):
    """Listen addresses stay; the request body does not matter."""
    proxy.toxic("latency", latency=5000)
    proxy.update(enabled=False)
    before = proxy.listen
    assert backend.ask("POST", "/reset", raw=b"{junk").status == 204
    shown = proxy.get()
    assert (shown["enabled"], shown["toxics"], shown["listen"]) == (True, [], before)
    with proxy.connect() as client, upstream.accept() as server:
        assert is_open(client, server)


def test_reset_with_nothing_to_do_is_fine(backend: Backend):
    """It needs no proxies and no body."""
    assert backend.ask("POST", "/reset").status == 204


def test_populate_makes_all_in_their_order(backend: Backend):
    """The answer is 201; disabled proxies are made too."""
    answer = populate(backend, one("b"), one("a", enabled=False))
    assert answer.status == 201
    assert answer.headers["content-type"] == "application/json"
    assert [(p["name"], p["enabled"]) for p in answer.json["proxies"]] == [("b", True), ("a", False)]
    assert set(backend.ask("GET", "/proxies").json) == {"a", "b"}


@pytest.mark.parametrize("raw", [b"[]", b"null"])
def test_populate_with_nothing_says_null(backend: Backend, raw: bytes):
    """The answer has null, not an empty list."""
    answer = backend.ask("POST", "/populate", raw=raw)
    assert (answer.status, answer.json) == (201, {"proxies": None})


@pytest.mark.parametrize("raw", [b"{}", b"", b"[1]", b'[{"name":1}]', b'"x"'])
def test_populate_refuses_what_is_no_list_of_proxies(backend: Backend, raw: bytes):
    """The answer is JSON, with null proxies beside the error."""
    answer = backend.ask("POST", "/populate", raw=raw)
    assert answer.status == 400
    assert answer.error.startswith("bad request body: ")
    assert answer.json["proxies"] is None
    assert answer.headers["content-type"] == "application/json"


@pytest.mark.parametrize("field", ["name", "upstream"])
def test_populate_checks_all_before_it_makes_any(backend: Backend, field: str):
    """The error names the position of the bad one."""
    answer = populate(backend, one("a"), one("b") | {field: ""})
    assert (answer.status, answer.error) == (400, f"missing required field: {field} at proxy 2")
    assert backend.ask("GET", "/proxies").json == {}


def test_populate_leaves_what_is_the_same_alone(backend: Backend, proxy: Proxy, pair: Any):
    """Its toxics and connections stay."""
    proxy.toxic("noop")
    assert populate(backend, same(proxy)).status == 201
    assert len(proxy.get()["toxics"]) == 1
    assert is_open(pair.client, pair.server)


def test_populate_does_not_disable_what_is_the_same(backend: Backend, proxy: Proxy, pair: Any):
    """`enabled` is not compared."""
    assert populate(backend, same(proxy, enabled=False)).status == 201
    assert proxy.get()["enabled"] is True
    assert is_open(pair.client, pair.server)


def test_populate_replaces_what_leads_elsewhere(backend: Backend, proxy: Proxy, pair: Any):
    """The old proxy's toxics are lost, its connections cut."""
    proxy.toxic("noop")
    answer = populate(backend, same(proxy, upstream=UPSTREAM))
    assert answer.status == 201
    shown = proxy.get()
    assert (shown["toxics"], shown["upstream"], shown["listen"]) == ([], UPSTREAM, proxy.listen)
    assert pair.client.recv(1) == b""


def test_populate_moves_what_asks_for_any_port(backend: Backend, proxy: Proxy):
    """Port 0 always counts as a change; the kernel may give the same port again, but not three times."""
    answers = [populate(backend, same(proxy, listen="127.0.0.1:0")) for _ in range(3)]
    seen = {answer.json["proxies"][0]["listen"] for answer in answers}
    assert "127.0.0.1:0" not in seen
    assert seen - {proxy.listen}


def test_populate_stops_where_it_fails(backend: Backend):
    """Proxies made before stay and are listed; later ones are not tried."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        answer = populate(backend, one("a"), one("b", listen=f"127.0.0.1:{port}"), one("c"))
    assert answer.status == 500
    assert "address already in use" in answer.error
    assert [p["name"] for p in answer.json["proxies"]] == ["a"]
    assert list(backend.ask("GET", "/proxies").json) == ["a"]


def test_a_replacement_that_cannot_listen_leaves_the_old_one_disabled(backend: Backend, proxy: Proxy):
    """The old proxy keeps its listen address."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        answer = populate(backend, same(proxy, listen=f"127.0.0.1:{other.getsockname()[1]}"))
    assert answer.status == 500
    assert (proxy.get()["enabled"], proxy.get()["listen"]) == (False, proxy.listen)


def test_populate_makes_no_toxics(backend: Backend):
    """A list of them inside a proxy is ignored."""
    answer = populate(backend, one("a", toxics=[{"type": "noop"}]))
    assert answer.json["proxies"][0]["toxics"] == []


def test_of_two_with_one_name_the_last_stays(backend: Backend, upstream: Upstream):
    """The answer lists both."""
    answer = populate(backend, one("a"), one("a", upstream=str(upstream)))
    assert [p["name"] for p in answer.json["proxies"]] == ["a", "a"]
    shown = backend.ask("GET", "/proxies/a").json
    assert shown["upstream"] == str(upstream)
    with Proxy(backend, "a", shown["listen"]).connect() as client, upstream.accept() as server:
        server.sendall(b"x")
        assert read(client, 1) == b"x"
