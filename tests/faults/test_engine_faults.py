"""Faults of the embedded engine: each does to real bytes what it says, and the engine reports whether it did."""

from __future__ import annotations

import select
import socket
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from proxied_links import Wire, await_true, held, how_it_ends, member, receive, silent, wired

from harness.machine.network import listening
from harness.proxies.base import LinkSpec
from harness.values.endpoint import Endpoint
from harness.values.errors import Unsupported

GREETING = b"\x00" + struct.pack("<I", 0x3C85F7CE) + b"\x0d" + struct.pack("<I", 7)


@pytest.fixture
def wire(tmp_path: Path) -> Iterator[Wire]:
    """Links of ranks 1 and 2 through an engine."""
    with wired(tmp_path, 1, 2, embedded=True) as made:
        yield made


def text(word: str) -> bytes:
    return struct.pack("<Q", len(word)) + word.encode()


def add(key: str) -> bytes:
    """The query of torch's store."""
    return b"\x04" + text(f"/train/{key}") + struct.pack("<q", 1)


def greeted(wire: Wire, rank: int = 1) -> tuple[socket.socket, socket.socket]:
    """A connection over which a client and a store have greeted each other."""
    client, master = wire.connect(rank)
    client.sendall(GREETING)
    assert receive(master, len(GREETING)) == GREETING
    master.sendall(GREETING[-4:])
    assert receive(client, 4) == GREETING[-4:]
    return client, master


def adds(client: socket.socket, master: socket.socket, key: str, total: int) -> None:
    """One add: its query to the master, and the reply back."""
    client.sendall(add(key))
    assert receive(master, len(add(key))) == add(key)
    master.sendall(struct.pack("<q", total))
    assert receive(client, 8) == struct.pack("<q", total)


def test_a_reply_is_swallowed_and_the_connection_lives(wire: Wire):
    """The second reply to an add of that key, counted from the injection, is lost; nothing else is touched."""
    client, master = greeted(wire)
    with held(wire, member("x_drop_reply", 1, reply="add", key="n", nth=2)) as evidence:
        adds(client, master, "n", 1)
        adds(client, master, "other", 1)
        client.sendall(add("n"))
        assert receive(master, len(add("n"))) == add("n")
        master.sendall(struct.pack("<q", 2))
        assert silent(client)
        adds(client, master, "n", 3)
    assert (evidence[0].touched, evidence[0].facts) == (True, {"acts": 1, "ranks": [1]})


def test_a_query_is_swallowed_and_the_master_knows_nothing(wire: Wire):
    """The query behind it passes."""
    client, master = greeted(wire)
    with held(wire, member("x_drop_query", 1, query="add", key="n")) as evidence:
        client.sendall(add("n"))
        assert silent(master)
        adds(client, master, "n", 1)
    assert evidence[0].touched is True


def test_a_message_is_held_until_healing(wire: Wire):
    """Nothing of it is lost."""
    client, master = greeted(wire)
    with held(wire, member("x_hold", 1, query="add")) as evidence:
        client.sendall(add("n"))
        assert silent(master)
    assert receive(master, len(add("n"))) == add("n")
    assert evidence[0].touched is True


@pytest.mark.parametrize(("how", "seen"), [("fin", "FIN"), ("rst", "RST")])
def test_a_connection_that_was_open_is_cut_before_a_reply(wire: Wire, how: str, seen: str):
    """Both sides see the cut, though the fault was not armed beforehand."""
    client, master = greeted(wire)
    with held(wire, member("x_cut", 1, reply="add", how=how)) as evidence:
        client.sendall(add("n"))
        assert receive(master, len(add("n"))) == add("n")
        master.sendall(struct.pack("<q", 1))
        assert [how_it_ends(client), how_it_ends(master)] == [seen, seen]
    assert evidence[0].touched is True


def test_a_connection_is_cut_after_an_exact_number_of_bytes(wire: Wire):
    """Counted in its direction, on each connection."""
    client, master = wire.connect(1)
    with held(wire, member("x_cut", 1, stream="downstream", bytes=3)) as evidence:
        master.sendall(b"abcd")
        assert receive(client, 4) == b"abc"
    assert evidence[0].touched is True


def test_a_stall_keeps_everything_and_loses_nothing(wire: Wire):
    """It also keeps bytes that came before it and had not passed yet."""
    client, master = wire.connect(1)
    with held(wire, member("x_stall", 1, stream="both")) as evidence:
        client.sendall(b"there")
        master.sendall(b"back")
        assert silent(master)
        assert silent(client)
    assert (receive(master, 5), receive(client, 4)) == (b"there", b"back")
    assert evidence[0].touched is True
    assert evidence[0].facts["effect"]["waiting_ns"] > 100_000_000
    assert evidence[0].facts["bytes"] == 9


def test_open_connections_are_reset_and_later_ones_spared(wire: Wire):
    """Only connections of the rank that it names."""
    client, master = wire.connect(1)
    other, _ = wire.connect(2)
    with held(wire, member("x_rst_now", 1)) as evidence:
        assert [how_it_ends(client), how_it_ends(master)] == ["RST", "RST"]
        later, peer = wire.connect(1)
        peer.sendall(b"alive")
        assert receive(later, 5) == b"alive"
        assert silent(other)
    assert evidence[0].touched is True


def test_half_a_connection_may_end(wire: Wire):
    """The other direction goes on; without the fault it would end too."""
    with held(wire, member("x_half_close", 1)) as evidence:
        client, master = wire.connect(1)
        client.shutdown(socket.SHUT_WR)
        assert receive(master, 1) == b""
        master.sendall(b"late")
        assert receive(client, 4) == b"late"
    assert evidence[0].touched is True


@pytest.mark.parametrize("stream", ["upstream", "downstream"])
def test_the_direction_that_ended_alone_is_told(wire: Wire, stream: str):
    """The later end of the other direction is not counted as a half close."""
    with held(wire, member("x_half_close", 1)) as evidence:
        ends = wire.connect(1)
        first, second = ends if stream == "upstream" else ends[::-1]
        first.shutdown(socket.SHUT_WR)
        assert receive(second, 1) == b""
        second.close()
        assert receive(first, 1) == b""
    other = {"upstream": "downstream", "downstream": "upstream"}[stream]
    assert evidence[0].facts == {"acts": 1, "ranks": [1], "ends": {stream: 1, other: 0}}


def test_a_connection_of_which_no_half_ended_was_not_touched(wire: Wire):
    """Bytes passed on it, but the cell is vacuous."""
    with held(wire, member("x_half_close", 1)) as evidence:
        client, master = wire.connect(1)
        client.sendall(b"x")
        assert receive(master, 1) == b"x"
    assert (evidence[0].touched, evidence[0].facts["ends"]) == (False, {"upstream": 0, "downstream": 0})


@pytest.mark.parametrize(("mode", "seen"), [("fin", "FIN"), ("rst", "RST")])
def test_the_first_connection_is_ended_at_once(wire: Wire, mode: str, seen: str):
    """The second one is accepted."""
    with held(wire, member("x_refuse", 1, mode=mode, first=1)) as evidence:
        first = socket.create_connection(wire.links[1].address.connectable)
        assert how_it_ends(first) == seen
        client, master = wire.connect(1)
        master.sendall(b"x")
        assert receive(client, 1) == b"x"
    assert (evidence[0].touched, evidence[0].facts["acts"]) == (True, 1)


def test_a_closed_door_refuses_and_spares_who_is_inside(wire: Wire):
    """Open connections go on; in a private network the refusal is counted."""
    wire.context.private_network = True
    client, master = wire.connect(1)
    with held(wire, member("x_refuse", 1, mode="closed")) as evidence:
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(wire.links[1].address.connectable)
        master.sendall(b"x")
        assert receive(client, 1) == b"x"
    assert evidence[0].touched is True


def test_a_full_queue_leaves_a_connect_hanging(wire: Wire):
    """After the healing, the kernel's next try gets in."""
    with held(wire, member("x_backlog", 1)) as evidence:
        client = socket.socket()
        client.setblocking(False)
        client.connect_ex(wire.links[1].address.connectable)
        assert silent_connect(client)
    wire.listener.accept()
    assert (evidence[0].touched, evidence[0].facts) == (True, {"acts": 1, "ranks": [1]})


def test_a_connect_that_gave_up_is_told(wire: Wire):
    """No connect hangs at the healing, but the kernel has counted the tries."""
    with held(wire, member("x_backlog", 1, 2)) as evidence:
        for _ in range(3):
            with socket.socket() as client:
                client.settimeout(0.1)
                with pytest.raises(TimeoutError):
                    client.connect(wire.links[2].address.connectable)
    assert (evidence[0].touched, evidence[0].facts) == (True, {"acts": 3, "ranks": [2]})


def test_the_tries_by_which_the_engine_fills_the_queue_are_not_counted(wire: Wire):
    """Nor are the kernel's retries for them, which have come after a second: the cell is vacuous."""
    with held(wire, member("x_backlog", 1)) as evidence:
        await_true(lambda: syn_sent_again(wire.links[1].address.port))
    assert (evidence[0].touched, evidence[0].facts) == (False, {"acts": 0, "ranks": []})


def test_where_the_kernel_does_not_count_nobody_hanging_is_unproven(wire: Wire, monkeypatch: pytest.MonkeyPatch):
    """Without the kernel's count, whether a connect gave up cannot be known."""
    monkeypatch.setattr(listening, "counts_dropped", lambda: False)
    with held(wire, member("x_backlog", 1)) as evidence:
        pass
    assert evidence[0].touched is None


def syn_sent_again(port: int) -> bool:
    """Whether the kernel has tried a connect to that port once more."""
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return any(row[2].endswith(f":{port:04X}") and row[3] == "02" and int(row[6], 16) for row in rows)


def silent_connect(client: socket.socket) -> bool:
    """Whether a connect gets no answer for a while."""
    return not select.select([], [client], [], 0.2)[1]


def test_a_client_that_is_never_read_stalls(wire: Wire):
    """Its writes stop when the buffers are full; the master gets no connection."""
    with held(wire, member("x_accept_never_read", 1)) as evidence:
        client = socket.create_connection(wire.links[1].address.connectable)
        client.settimeout(0.5)
        with pytest.raises(TimeoutError):
            client.sendall(bytes(64 << 20))
        wire.listener.settimeout(0.1)
        with pytest.raises(TimeoutError):
            wire.listener.accept()
    assert evidence[0].touched is True


@pytest.mark.parametrize(
    ("kind", "attributes"),
    [
        ("x_drop_reply", {"reply": "add"}),
        ("x_drop_query", {"query": "set"}),
        ("x_hold", {"reply": "wait"}),
        ("x_cut", {"query": "get"}),
        ("x_rst_now", {}),
        ("x_half_close", {}),
        ("x_accept_never_read", {}),
        ("x_refuse", {"mode": "rst"}),
        ("x_stall", {}),
    ],
)
def test_what_finds_nothing_to_hit_has_touched_nothing(wire: Wire, kind: str, attributes: dict[str, Any]):
    """Without such a message or a connection the cell is vacuous."""
    with held(wire, member(kind, 1, **attributes)) as evidence:
        pass
    assert evidence[0].touched is False


def test_the_real_server_is_not_asked_for_what_it_lacks(tmp_path: Path):
    """A scenario that needs the engine is refused before any link is made."""
    with wired(tmp_path, 1) as wire:
        assert wire.links[1].acts("anything") == 0
        with pytest.raises(Unsupported, match="x_cut needs the embedded engine"):
            wire.server.require("x_cut")


def test_the_engine_tells_what_passed_each_link(wire: Wire):
    """It reports each connection with its bytes, messages and end, and each key with the messages that named it."""
    client, master = greeted(wire)
    adds(client, master, "n", 1)
    client.close()
    assert receive(master, 1) == b""
    await_true(lambda: "because" in wire.server.account([wire.links[1]])[0]["connections"][0])
    account = wire.server.account([wire.links[1]])[0]
    carried = account["connections"][0]
    assert (account["rank"], account["keys"]) == (1, {"/train/n": ["add"]})
    assert carried["read"] == {"upstream": len(GREETING + add("n")), "downstream": 12}
    assert carried["messages"]["reply add"] == 1
    assert carried["because"] == "client closed"
    assert carried["accepted_ns"] < carried["first_ns"]["upstream"] < carried["closed_ns"]


def test_links_of_one_seed_have_one_name(wire: Wire):
    """On an engine of our own, the same seed gives the same names, and so the same random draws."""
    spec = LinkSpec(3, Endpoint("127.0.0.1", 9))
    names = []
    for seed in (1, 1, 2):
        links = wire.server.make([spec], seed=seed)
        names.append(links[0].name)
        wire.server.remove(links)
    assert names[0] == names[1] != names[2]
