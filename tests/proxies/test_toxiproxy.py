"""Links through a server of our own: made in one request, removed one by one, and every change verified."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest
from freezing import freeze
from link_helpers import NOWHERE, await_true, echoed, specs

from harness.machine.network import sockets
from harness.machine.process.children import Children
from harness.machine.toxiproxy import client as toxiproxy_client
from harness.machine.toxiproxy import server as proxy_server
from harness.proxies import toxiproxy
from harness.proxies.base import LinkSpec
from harness.proxies.toxiproxy import Toxiproxy
from harness.values.errors import HarnessError, ProxyLost


@pytest.fixture
def elsewhere(children: Children) -> frozenset[int]:
    """Servers that other tests of this process keep running; ask for them before a server is started."""
    return frozenset(children.others())


@pytest.mark.needs_toxiproxy
def test_links_are_made_in_the_order_asked_for(own: Toxiproxy, master: socket.socket):
    """Each has its own port on loopback and a name that says whose it is, and carries bytes."""
    links = own.make(specs(master, 3, 1, 2))
    assert [link.rank for link in links] == [3, 1, 2]
    assert {link.address.host for link in links} == {"127.0.0.1"}
    assert len({link.address.port for link in links}) == 3
    assert all(link.name.endswith(f"-rank{link.rank}") for link in links)
    assert [echoed(link, master, b"hello") for link in links] == [b"hello"] * 3
    own.remove(links)


@pytest.mark.needs_toxiproxy
def test_one_rank_may_have_links_to_several_endpoints(own: Toxiproxy, master: socket.socket):
    """A rank with two handlers gets two endpoints."""
    first, second = own.make([*specs(master, 1), LinkSpec(1, NOWHERE)])
    assert (first.rank, second.rank, second.upstream) == (1, 1, NOWHERE)
    assert echoed(first, master, b"hello") == b"hello"


@pytest.mark.needs_toxiproxy
def test_removing_leaves_only_the_sentinel(own: Toxiproxy, master: socket.socket):
    """Ports are closed, proxies and toxics gone; removing a link twice is no error."""
    links = own.make(specs(master, 1, 2))
    links[0].add_toxic("slow", "latency", "downstream", 1.0, {"latency": 1})
    own.remove(links)
    assert all(sockets.port_is_bindable(*link.address.connectable) for link in links)
    assert set(own._server.api.proxies()) == own._own.sentinels
    own.remove(links)


@pytest.mark.needs_toxiproxy
def test_no_links_need_no_request(own: Toxiproxy):
    """A world in which every process is a master has no links."""
    assert own.make([]) == ()


@pytest.mark.needs_toxiproxy
def test_it_is_named_in_every_report(own: Toxiproxy):
    """A report has its version and its origin."""
    assert own.describe().startswith("toxiproxy-server ")
    assert own.describe().endswith(")")


@pytest.mark.needs_toxiproxy
def test_worlds_leave_nothing_behind_in_the_server(own: Toxiproxy, master: socket.socket):
    """The server has as many descriptors as before; `/reset` would have kept its listeners."""
    own.remove(own.make(specs(master, *range(1, 8))))
    before = len(os.listdir(f"/proc/{own._own._running.pid}/fd"))
    for _ in range(5):
        links = own.make(specs(master, *range(1, 8)))
        assert echoed(links[0], master, b"hello") == b"hello"
        own.remove(links)
    await_true(lambda: len(os.listdir(f"/proc/{own._own._running.pid}/fd")) == before)


@pytest.mark.needs_toxiproxy
def test_closing_leaves_nothing_behind(
    real_server: Path, elsewhere: frozenset[int], children: Children, tmp_path: Path, master: socket.socket
):
    """No process, no descriptor, and no file but the log."""
    descriptors = len(os.listdir("/proc/self/fd"))
    server = Toxiproxy.start(children, tmp_path / "proxy.log")
    server.make(specs(master, 1))
    assert len(set(children.others()) - elsewhere) == 1
    server.close()
    assert set(children.others()) <= elsewhere
    assert len(os.listdir("/proc/self/fd")) == descriptors
    assert os.listdir(tmp_path) == ["proxy.log"]


@pytest.mark.needs_toxiproxy
def test_a_server_that_died_is_lost_at_once_and_can_be_replaced(
    elsewhere: frozenset[int], own: Toxiproxy, children: Children, master: socket.socket
):
    """Every call after the first failure fails without waiting for a time-out again."""
    (link,) = own.make(specs(master, 1))
    children.kill(own._own._running.pid)
    with pytest.raises(ProxyLost, match="no answer"):
        link.disable()
    with pytest.raises(ProxyLost, match="was lost before"):
        own.make(specs(master, 1))
    own.restart()
    (link,) = own.make(specs(master, 1))
    assert echoed(link, master, b"again") == b"again"
    assert len(set(children.others()) - elsewhere) == 1


@pytest.mark.needs_toxiproxy
def test_a_frozen_server_is_lost_and_replaced(
    elsewhere: frozenset[int],
    own: Toxiproxy,
    children: Children,
    master: socket.socket,
    monkeypatch: pytest.MonkeyPatch,
):
    """A call that is not answered in time raises, and a server that ignores SIGTERM is killed."""
    monkeypatch.setattr(toxiproxy_client, "READ_S", 0.1)
    monkeypatch.setattr(proxy_server, "END_GRACE_NS", 50_000_000)
    freeze(children, own._own._running.pid)
    with pytest.raises(ProxyLost, match="no answer"):
        own.make(specs(master, 1))
    own.restart()
    assert len(set(children.others()) - elsewhere) == 1
    own.make(specs(master, 1))


@pytest.mark.needs_toxiproxy
def test_a_server_is_renewed_before_its_counters_grow_too_many(
    own: Toxiproxy, master: socket.socket, monkeypatch: pytest.MonkeyPatch
):
    """The server keeps the counters of every proxy it ever had."""
    monkeypatch.setattr(toxiproxy, "WORLDS_PER_SERVER", 3)
    pids = set()
    for _ in range(4):
        own.remove(own.make(specs(master, 1)))
        pids.add(own._own._running.pid)
    assert len(pids) == 2


@pytest.mark.needs_toxiproxy
def test_its_log_is_that_of_the_last_world(own: Toxiproxy, master: socket.socket):
    """The run directory gets the log of its own run only."""
    first = own.make(specs(master, 1))
    own.remove(first)
    (second,) = own.make(specs(master, 2))
    assert first[0].name not in own.log()
    assert second.name in own.log()


@pytest.mark.needs_toxiproxy
def test_a_toxic_is_compared_with_what_was_asked(
    own: Toxiproxy, master: socket.socket, monkeypatch: pytest.MonkeyPatch
):
    """The client drops the server's answer; a toxic that is missing or differs is an error."""
    (link,) = own.make(specs(master, 1))
    link.add_toxic("slow", "latency", "upstream", 0.3, {"latency": 7})
    link.update_toxic("slow", 0.7, {"latency": 8})
    monkeypatch.setattr(type(link._proxy), "add_toxic", lambda *_, **__: None)
    with pytest.raises(ProxyLost, match="the server has nothing"):
        link.add_toxic("missing", "latency", "upstream", 1.0, {"latency": 7})


@pytest.mark.needs_toxiproxy
def test_a_toxic_that_is_gone_is_no_error_and_one_that_is_there_twice_is(own: Toxiproxy, master: socket.socket):
    """Healing twice is harmless; the server's refusals keep their words."""
    (link,) = own.make(specs(master, 1))
    link.add_toxic("slow", "latency", "upstream", 1.0, {"latency": 7})
    with pytest.raises(HarnessError, match="toxic already exists"):
        link.add_toxic("slow", "latency", "upstream", 1.0, {"latency": 7})
    link.remove_toxic("slow")
    link.remove_toxic("slow")
    with pytest.raises(HarnessError, match="toxic not found"):
        link.update_toxic("slow", 1.0, {})


@pytest.mark.needs_toxiproxy
def test_disabling_and_enabling_is_verified(own: Toxiproxy, master: socket.socket, monkeypatch: pytest.MonkeyPatch):
    """The client assumes that its request was done; we ask the server."""
    (link,) = own.make(specs(master, 1))
    link.disable()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(link.address.connectable)
    link.enable()
    assert echoed(link, master, b"back") == b"back"
    monkeypatch.setattr(type(link._proxy), "disable", lambda _: True)
    with pytest.raises(ProxyLost, match="should be disabled"):
        link.disable()


@pytest.mark.needs_toxiproxy
def test_a_port_taken_while_down_is_not_believed(own: Toxiproxy, master: socket.socket):
    """The client takes the server's 500 for success."""
    (link,) = own.make(specs(master, 1))
    link.disable()
    with socket.create_server(link.address.connectable), pytest.raises(ProxyLost, match="address already in use"):
        link.enable()


@pytest.mark.needs_toxiproxy
def test_a_launch_under_http_proxy_works(
    real_server: Path, children: Children, tmp_path: Path, master: socket.socket, monkeypatch: pytest.MonkeyPatch
):
    """The whole launch ignores the variable, from the readiness check on."""
    monkeypatch.setenv("HTTP_PROXY", f"http://{NOWHERE}")
    monkeypatch.setenv("http_proxy", f"http://{NOWHERE}")
    server = Toxiproxy.start(children, tmp_path / "proxy.log")
    server.remove(server.make(specs(master, 1)))
    server.close()
