"""Toxics and API paths that the real server does not have: what each does to real connections."""

from __future__ import annotations

import select
import socket
import time
from collections.abc import Iterator
from dataclasses import fields
from typing import Any

import pytest
from backends import LIMIT_SECONDS, Backend, Proxy, Upstream, ending, is_open, late, nothing, now_ms, read

from harness.engine.toxics import load
from harness.engine.toxics.base import BEHAVIOURS
from harness.machine.toxiproxy.client import EXTENSIONS


@pytest.fixture
def pair(proxy: Proxy, upstream: Upstream) -> Iterator[tuple[socket.socket, socket.socket]]:
    """A connection through the proxy: its client and its server."""
    with proxy.connect() as client, upstream.accept() as server:
        yield client, server


def events(engine: Backend, proxy: Proxy, *kinds: str) -> list[dict[str, Any]]:
    """The logged events of a proxy, of these kinds."""
    found = engine.ask("GET", f"/x/events?proxy={proxy.name}").json["events"]
    return [event for event in found if not kinds or event["event"] in kinds]


def await_event(engine: Backend, proxy: Proxy, kind: str) -> dict[str, Any]:
    """The first event of that kind."""
    deadline = time.monotonic() + LIMIT_SECONDS
    while not (found := events(engine, proxy, kind)):
        assert time.monotonic() < deadline, events(engine, proxy)
        select.select([], [], [], 0.005)
    return found[0]


# -- x_cut, x_stall, x_rst_now, x_half_close ---------------------------------------------------------------------------


@pytest.mark.parametrize("stream", ["upstream", "downstream"])
@pytest.mark.parametrize("how", ["fin", "rst"])
def test_a_cut_comes_after_an_exact_number_of_bytes(proxy: Proxy, pair: Any, stream: str, how: str):
    """Also on a connection that was open before; both sides see it."""
    sender, receiver = pair if stream == "upstream" else pair[::-1]
    assert is_open(*pair)
    proxy.toxic("x_cut", stream=stream, bytes=7, how=how)
    sender.sendall(b"1234")
    assert read(receiver, 4) == b"1234"
    sender.sendall(b"567890")
    assert ending(receiver) == (b"567", "eof" if how == "fin" else "rst")
    assert ending(sender)[0] == b""


def test_a_cut_comes_with_its_last_byte(proxy: Proxy, pair: Any):
    """The cut comes with the last byte that it allows, not with the next."""
    client, server = pair
    proxy.toxic("x_cut", bytes=3, how="rst")
    server.sendall(b"123")
    assert ending(client) == (b"123", "rst")
    assert ending(server) == (b"", "rst")


def test_silence_swallows_bytes_and_end(proxy: Proxy, pair: Any):
    """After the exact number of bytes nothing passes; the other direction goes on."""
    client, server = pair
    proxy.toxic("x_cut", bytes=3, how="silence")
    server.sendall(b"123456")
    assert read(client, 3) == b"123"
    client.sendall(b"still")
    assert read(server, 5) == b"still"
    server.shutdown(socket.SHUT_WR)
    assert nothing(client)


def test_a_stall_loses_nothing(proxy: Proxy, pair: Any):
    """Bytes and the end wait, and pass when the stall is over."""
    client, server = pair
    began = now_ms()
    proxy.toxic("x_stall", duration=300)
    server.sendall(b"wait")
    server.close()
    assert ending(client) == (b"wait", "eof")
    assert late(began, 300)


def test_a_stall_without_duration_lasts_until_it_is_removed(proxy: Proxy, pair: Any):
    """It also stalls new connections."""
    name = proxy.toxic("x_stall")
    pair[1].sendall(b"wait")
    assert nothing(pair[0])
    proxy.remove(name)
    assert read(pair[0], 4) == b"wait"


def test_open_connections_are_reset_without_being_armed(proxy: Proxy, upstream: Upstream, pair: Any):
    """They are reset although no byte passes; the next connection is spared."""
    proxy.toxic("x_rst_now")
    assert ending(pair[0]) == (b"", "rst")
    assert ending(pair[1]) == (b"", "rst")
    with proxy.connect() as client, upstream.accept() as server:
        assert is_open(client, server)


def test_half_close_lets_the_other_direction_live(proxy: Proxy, pair: Any):
    """A request, its end, and the reply after it all arrive."""
    client, server = pair
    proxy.toxic("x_half_close")
    client.sendall(b"request")
    client.shutdown(socket.SHUT_WR)
    assert ending(server) == (b"request", "eof")
    server.sendall(b"late reply")
    server.close()
    assert ending(client) == (b"late reply", "eof")


def test_a_half_closed_connection_ends_when_both_have_ended(engine: Backend, proxy: Proxy, pair: Any):
    """It does not end before, and then it leaves nothing."""
    client, server = pair
    proxy.toxic("x_half_close")
    server.shutdown(socket.SHUT_WR)
    assert ending(client) == (b"", "eof")
    client.sendall(b"x")
    assert read(server, 1) == b"x"
    assert len(engine.ask("GET", "/x/connections").json["connections"]) == 1
    client.close()
    assert server.recv(1) == b""
    await_event(engine, proxy, "close")
    assert engine.ask("GET", "/x/connections").json == {"connections": []}


# -- the door ----------------------------------------------------------------------------------------------------------


def test_a_shut_door_refuses_and_spares_open_connections(proxy: Proxy, upstream: Upstream, pair: Any):
    """New clients are refused; when the toxic is gone, the proxy has the same port."""
    name = proxy.toxic("x_refuse")
    with pytest.raises(ConnectionRefusedError):
        proxy.connect()
    assert is_open(*pair)
    proxy.remove(name)
    with proxy.connect() as client, upstream.accept() as server:
        assert is_open(client, server)


def greeting(proxy: Proxy) -> str:
    """How a connection ends whose client sends nothing; a reset may come before connect returns."""
    try:
        with proxy.connect() as client:
            return ending(client)[1]
    except ConnectionResetError:
        return "rst"


@pytest.mark.parametrize(("mode", "seen"), [("rst", "rst"), ("fin", "eof")])
def test_the_first_clients_are_turned_away(engine: Backend, proxy: Proxy, upstream: Upstream, mode: str, seen: str):
    """With `first: 2` two clients are refused, and later ones are accepted."""
    proxy.toxic("x_refuse", mode=mode, first=2)
    for _ in range(2):
        assert greeting(proxy) == seen
    with proxy.connect() as client, upstream.accept() as server:
        assert is_open(client, server)
    assert len(events(engine, proxy, "turned away")) == 2


def test_a_full_backlog_leaves_a_connect_hanging(proxy: Proxy, upstream: Upstream, pair: Any):
    """Open connections go on; when the toxic is removed, clients get in and the server sees no other connection."""
    name = proxy.toxic("x_backlog")
    with socket.socket() as hanging:
        hanging.settimeout(0.5)
        with pytest.raises(TimeoutError):
            hanging.connect(proxy.address)
    assert is_open(*pair)
    proxy.remove(name)
    with proxy.connect() as client, upstream.accept() as server:
        assert is_open(client, server)
    assert nothing(upstream.listener)  # type: ignore[arg-type]


def test_a_client_that_hung_gets_in_when_the_backlog_is_released(proxy: Proxy, upstream: Upstream):
    """It gets in at its kernel's next try."""
    name = proxy.toxic("x_backlog")
    with socket.socket() as hanging:
        hanging.setblocking(False)
        hanging.connect_ex(proxy.address)
        assert not select.select([], [hanging], [], 0.3)[1]
        proxy.remove(name)
        assert select.select([], [hanging], [], LIMIT_SECONDS)[1]
        hanging.settimeout(LIMIT_SECONDS)
        with upstream.accept() as server:
            assert is_open(hanging, server)


def test_a_client_that_is_never_read_stalls(proxy: Proxy, upstream: Upstream):
    """Its writes fill the window and stop, unlike under a timeout; the server is not dialled."""
    name = proxy.toxic("x_accept_never_read")
    with proxy.connect() as client:
        client.setblocking(False)
        sent = 0
        while select.select([], [client], [], 0.3)[1]:
            sent += client.send(bytes(65536))
            assert sent < 64 * 1024 * 1024, "it never stalled"
        assert nothing(upstream.listener, 0)  # type: ignore[arg-type]
        proxy.remove(name)
        assert ending(client)[1] == "rst"


def test_a_disabled_proxy_forgets_a_shut_door_only_with_its_toxic(proxy: Proxy, upstream: Upstream):
    """When it is enabled again it still refuses, until the toxic is removed."""
    name = proxy.toxic("x_refuse")
    proxy.update(enabled=False)
    assert proxy.update(enabled=True).status == 200
    with pytest.raises(ConnectionRefusedError):
        proxy.connect()
    proxy.remove(name)
    with proxy.connect() as client, upstream.accept() as server:
        assert is_open(client, server)


@pytest.mark.parametrize(
    ("kind", "attributes"),
    [
        ("x_cut", {"how": "politely"}),
        ("x_cut", {"bytes": -1}),
        ("x_refuse", {"mode": "never"}),
        ("x_refuse", {"mode": "closed", "first": 3}),
    ],
)
def test_values_without_a_meaning_are_refused(proxy: Proxy, kind: str, attributes: Any):
    """The refusal names the toxic and lists the values that are allowed."""
    answer = proxy.backend.ask("POST", f"{proxy.path}/toxics", {"type": kind, "attributes": attributes})
    assert answer.status == 400
    assert kind in answer.error


# -- paths -------------------------------------------------------------------------------------------------------------


def test_the_engine_says_what_it_is(engine: Backend):
    """It also lists its toxics: a program checks for a capability before it uses it."""
    about = engine.ask("GET", "/x").json
    assert about["engine"] == "rdzv-harness embedded"
    assert about["seed"] == "tests"
    assert {"x_cut", "x_stall", "x_refuse", "latency"} <= set(about["toxics"])


def test_the_log_tells_the_life_of_a_connection(engine: Backend, proxy: Proxy, upstream: Upstream):
    """The log has accept, dial, first bytes, the toxic that fired, and the end with its cause and all counts."""
    proxy.toxic("limit_data", bytes=5)
    with proxy.connect() as client, upstream.accept() as server:
        client.sendall(b"request")
        read(server, 7)
        server.sendall(b"too long")
        assert ending(client) == (b"too l", "eof")
        closed = await_event(engine, proxy, "close")
    logged = events(engine, proxy)
    assert [e["event"] for e in logged] == [
        *("listen", "accept", "dial", "first byte", "transparent", "first byte", "fired", "close")
    ]
    assert [e["number"] for e in logged] == sorted(e["number"] for e in logged)
    assert [e["time_ns"] for e in logged] == sorted(e["time_ns"] for e in logged)
    assert logged[6]["toxic"] == "limit_data_downstream"
    assert (closed["upstream_read_bytes"], closed["upstream_written_bytes"]) == (7, 7)
    assert (closed["downstream_read_bytes"], closed["downstream_written_bytes"]) == (8, 5)


@pytest.mark.parametrize(("who", "cause"), [("client", "client closed"), ("server", "server closed")])
def test_the_log_tells_who_ended_a_connection(engine: Backend, proxy: Proxy, upstream: Upstream, who: str, cause: str):
    """The cause names the side that closed."""
    client, server = proxy.connect(), upstream.accept()
    {"client": client, "server": server}[who].close()
    assert await_event(engine, proxy, "close")["cause"] == cause
    client.close()
    server.close()


def test_the_log_tells_why_a_dial_failed(engine: Backend):
    """The cause is the system's error message."""
    with socket.create_server(("127.0.0.1", 0)) as gone:
        port = gone.getsockname()[1]
    proxy = engine.make(f"127.0.0.1:{port}")
    with proxy.connect() as client:
        ending(client)
    assert await_event(engine, proxy, "close")["cause"] == "dial failed: Connection refused"


def test_the_log_is_read_from_where_one_left_off(engine: Backend, proxy: Proxy):
    """`since` takes the number of an event; anything that is not a number is refused."""
    last = engine.ask("GET", "/x/events").json["last"]
    proxy.update(enabled=False)
    newer = engine.ask("GET", f"/x/events?since={last}").json
    assert [event["event"] for event in newer["events"]] == ["unlisten"]
    assert engine.ask("GET", "/x/events?since=x").status == 400


@pytest.mark.parametrize(("how", "seen"), [("fin", "eof"), ("rst", "rst")])
def test_one_connection_of_many_is_closed(engine: Backend, proxy: Proxy, upstream: Upstream, how: str, seen: str):
    """It is closed by its number, found by the client's address; the others go on."""
    clients = [proxy.connect() for _ in range(3)]
    servers = [upstream.accept() for _ in clients]
    assert all(is_open(client, server) for client, server in zip(clients, servers, strict=True))
    peer = "{}:{}".format(*clients[1].getsockname())
    listed = engine.ask("GET", f"/x/connections?proxy={proxy.name}").json["connections"]
    (hit,) = [one for one in listed if one["peer"] == peer]
    assert engine.ask("DELETE", f"/x/connections/{hit['id']}?how={how}").status == 204
    assert ending(clients[1]) == (b"", seen)
    assert ending(servers[1]) == (b"", seen)
    assert is_open(clients[0], servers[0])
    assert is_open(clients[2], servers[2])
    assert engine.ask("DELETE", f"/x/connections/{hit['id']}").status == 404
    for sock in (*clients, *servers):
        sock.close()


def test_a_proxy_is_made_with_its_toxics(engine: Backend, upstream: Upstream):
    """Toxics are in place before any client connects; a bad toxic makes no proxy."""
    body = {"name": "both", "listen": "127.0.0.1:0", "upstream": str(upstream)}
    bad = engine.ask("POST", "/x/proxies", body | {"toxics": [{"type": "nonsense"}]})
    assert bad.status == 400
    assert engine.ask("GET", "/proxies/both").status == 404
    limit = {"type": "limit_data", "attributes": {"bytes": 0}}
    shown = engine.ask("POST", "/x/proxies", body | {"toxics": [limit]}).json
    assert [toxic["type"] for toxic in shown["toxics"]] == ["limit_data"]


# -- partitions --------------------------------------------------------------------------------------------------------


def test_a_partition_stalls_what_crosses_it_and_loses_nothing(engine: Backend, upstream: Upstream):
    """It acts between groups of labels, in one step; when it is healed, everything arrives."""
    proxies = [engine.make(upstream, name=f"link{rank}") for rank in range(3)]
    for rank, proxy in enumerate(proxies):
        engine.ask("POST", f"/x/proxies/{proxy.name}/labels", {"source": str(rank), "target": "master"})
    pairs = [(proxy.connect(), upstream.accept()) for proxy in proxies]
    cut = engine.ask("POST", "/x/partition", {"groups": [["0", "master"], ["1", "2"]]})
    assert (cut.status, cut.json["proxies"]) == (201, ["link1", "link2"])
    for client, _ in pairs:
        client.sendall(b"x")
    assert read(pairs[0][1], 1) == b"x"
    assert nothing(pairs[1][1])
    assert nothing(pairs[2][1], 0)
    assert engine.ask("DELETE", f"/x/partition/{cut.json['id']}").status == 204
    assert read(pairs[1][1], 1) == read(pairs[2][1], 1) == b"x"
    assert [proxy.get()["toxics"] for proxy in proxies] == [[], [], []]
    for sock in sum(pairs, ()):
        sock.close()


@pytest.mark.parametrize(
    ("how", "seen"),
    [("blackhole", "nothing"), ("refuse", "rst"), ("unreachable", "nothing"), ("stall_upstream", "nothing")],
)
def test_a_partition_acts_as_it_is_told(engine: Backend, proxy: Proxy, upstream: Upstream, how: str, seen: str):
    """It acts on the named proxies in the requested way; when it is healed, new connections work."""
    with proxy.connect() as client, upstream.accept() as server:
        cut = engine.ask("POST", "/x/partition", {"proxies": [proxy.name], "how": how}).json
        if seen == "rst":
            assert ending(client) == (b"", "rst")
        else:
            client.sendall(b"x")
            assert nothing(server)
        if how == "refuse":
            with pytest.raises(ConnectionRefusedError):
                proxy.connect()
        assert engine.ask("DELETE", f"/x/partition/{cut['id']}").status == 204
    with proxy.connect() as client, upstream.accept() as server:
        assert is_open(client, server)


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({}, 400),
        ({"proxies": "a"}, 400),
        ({"proxies": ["missing"]}, 404),
        ({"groups": [["a"]]}, 400),
        ({"proxies": [], "how": "gently"}, 400),
    ],
)
def test_a_partition_that_makes_no_sense_is_refused(engine: Backend, body: Any, status: int):
    """So is healing one that does not exist."""
    assert engine.ask("POST", "/x/partition", body).status == status
    assert engine.ask("DELETE", "/x/partition/999").status == 404


def test_the_harness_sends_each_extension_what_the_engine_takes():
    """The harness's table of attributes, which catches misspelt ones before they are sent, equals the engine's."""
    load()
    takes = {kind: [field.name for field in fields(one)] for kind, one in BEHAVIOURS.items() if kind.startswith("x_")}
    assert {kind: sorted(names) for kind, names in EXTENSIONS.items()} == {kind: sorted(takes[kind]) for kind in takes}
