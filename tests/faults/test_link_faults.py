"""Faults on links: each does to real bytes what it says, stops when healed, and knows whether it met any."""

from __future__ import annotations

import contextlib
import socket
import struct
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from fault_context import FakeFaultContext
from proxied_links import LATER, Wire, await_true, held, how_it_ends, member, receive, silent, wired

from harness.faults.base import Evidence
from harness.machine.network import sockets
from harness.values.errors import HarnessError, NothingToHit, ProxyLost

pytestmark = pytest.mark.needs_toxiproxy

MS, S = 1_000_000, 1_000_000_000
TCPI_DATA_SEGS_IN = 152
"""Where it stands in `struct tcp_info` of linux/tcp.h."""
TOXICS = {
    "latency": {"latency": 50 * MS},
    "bandwidth": {"rate": 100_000},
    "slow_close": {"delay": 50 * MS},
    "blackhole": {},
    "reset_peer": {},
    "slicer": {"average_size": 4},
    "limit_data": {"bytes": 1000},
}


@pytest.fixture(params=["real", "embedded"])
def wire(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Wire]:
    """Links of ranks 1 and 2 to a master."""
    with wired(tmp_path, 1, 2, embedded=request.param == "embedded") as made:
        yield made


def met(evidence: Evidence) -> int:
    """Bytes that came: the engine counts what it reads; for the real server, the kernel knows what it holds."""
    return int(evidence.facts["bytes"] + evidence.facts["held_bytes"])


def data_segments(connection: socket.socket) -> int:
    """How many segments with data the kernel has received: each as it was sent, at whatever time it is read."""
    info = connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, TCPI_DATA_SEGS_IN + 4)
    return int(struct.unpack_from("=I", info, TCPI_DATA_SEGS_IN)[0])


def test_latency_delays_what_passes(wire: Wire):
    """A byte comes no earlier than the delay; the other direction is not delayed."""
    client, master = wire.connect(1)
    with held(wire, member("latency", 1, stream="downstream", latency=150 * MS)) as evidence:
        began = time.monotonic()
        master.sendall(b"x")
        assert receive(client, 1) == b"x"
        assert time.monotonic() - began >= 0.15
    assert evidence[0].touched is True


def test_healing_latency_lets_everything_pass_at_once(wire: Wire):
    """Bytes that would wait for a minute come at the healing, in order."""
    client, master = wire.connect(1)
    with held(wire, member("latency", 1, stream="upstream", latency=60 * S)) as evidence:
        client.sendall(b"first")
        client.sendall(b"second")
        assert silent(master)
    assert receive(master, 11) == b"firstsecond"
    assert evidence[0].touched is True


def test_bandwidth_limits_the_rate(wire: Wire):
    """3 kB at 10 KB/s take 0.3 s."""
    client, master = wire.connect(1)
    with held(wire, member("bandwidth", 1, stream="downstream", rate=10_000)) as evidence:
        began = time.monotonic()
        master.sendall(bytes(3000))
        assert len(receive(client, 3000)) == 3000
        assert time.monotonic() - began >= 0.29
    assert evidence[0].touched is True


def test_no_bandwidth_at_all_holds_even_the_end_back(wire: Wire):
    """At 0 KB/s neither bytes nor the end pass before healing."""
    client, master = wire.connect(1)
    with held(wire, member("bandwidth", 1, stream="downstream", rate=0)) as evidence:
        master.sendall(b"late")
        master.close()
        assert silent(client)
    assert receive(client, 5) == b"late"
    assert evidence[0].touched is True


def test_slow_close_lets_the_end_wait(wire: Wire):
    """Bytes pass at once, the end comes later; the end alone is evidence."""
    client, master = wire.connect(1)
    with held(wire, member("slow_close", 1, stream="downstream", delay=60 * S)) as evidence:
        master.close()
        assert silent(client)
    assert how_it_ends(client) == "FIN"
    assert evidence[0].touched is True
    assert (evidence[0].facts["accepted"], evidence[0].facts["bytes"]) == (0, 0)


@pytest.mark.parametrize("stream", ["upstream", "downstream"])
def test_a_blackhole_swallows_one_way_only(wire: Wire, stream: str):
    """Nothing arrives in its direction, the other flows, and healing ends the connection."""
    client, master = wire.connect(1)
    sender, receiver = (client, master) if stream == "upstream" else (master, client)
    with held(wire, member("blackhole", 1, stream=stream)) as evidence:
        sender.sendall(b"lost")
        receiver.sendall(b"found")
        assert receive(sender, 5) == b"found"
        assert silent(receiver)
    assert how_it_ends(receiver) == "FIN"
    assert evidence[0].touched is True
    client, master = wire.connect(1)
    master.sendall(b"again")
    assert receive(client, 5) == b"again"


def test_a_blackhole_with_a_timeout_closes_by_itself(wire: Wire):
    """It closes both sides that long after the last bytes."""
    client, master = wire.connect(1)
    with held(wire, member("blackhole", 1, stream="upstream", timeout=100 * MS)):
        client.sendall(b"lost")
        assert receive(client, 1) == b""
        assert receive(master, 1) == b""


def test_what_was_swallowed_before_anybody_looked_is_known(wire: Wire):
    """A swallowed reply on a connection older than the blackhole is evidence too."""
    _, master = wire.connect(1)
    with held(wire, member("blackhole", 1, stream="downstream")) as evidence:
        master.sendall(b"swallowed")
    assert evidence[0].touched is True
    assert met(evidence[0]) == 9


def test_a_reset_hits_a_connection_that_was_open_before(wire: Wire):
    """Armed beforehand, it ends an open connection with a reset on both sides; a new one is as usual."""
    fault = member("reset_peer", 1, stream="upstream", after=LATER)
    fault.arm(wire.context)
    client, master = wire.connect(1)
    client.sendall(b"before")
    assert receive(master, 6) == b"before"
    with held(wire, fault) as evidence:
        client.sendall(b"x")
        assert [how_it_ends(client), how_it_ends(master)] == ["RST", "RST"]
    assert evidence[0].touched is True
    client, master = wire.connect(1)
    client.sendall(b"healed")
    assert receive(master, 6) == b"healed"


def test_a_reset_at_the_start_needs_no_arming(wire: Wire):
    """If it is in place before any client connects, it resets at the first bytes."""
    fault = member("reset_peer", 1, stream="downstream")
    fault.arm(wire.context)
    with held(wire, fault) as evidence:
        client, master = wire.connect(1)
        master.sendall(b"x")
        assert [how_it_ends(client), how_it_ends(master)] == ["RST", "RST"]
    assert evidence[0].touched is True


def test_a_reset_counts_down_to_the_end_even_when_healed(wire: Wire):
    """Healing waits for the countdown: the real server cannot stop it; the engine can."""
    fault = member("reset_peer", 1, stream="upstream", timeout=300 * MS, after=LATER)
    fault.arm(wire.context)
    client, master = wire.connect(1)
    with held(wire, fault):
        client.sendall(b"x")
        assert silent(master)
    if wire.embedded:
        assert receive(master, 1) == b"x"
    else:
        assert how_it_ends(client) == "RST"


def test_the_slicer_cuts_into_pieces_and_loses_none(wire: Wire):
    """40 bytes at 10 arrive as several segments, in order, with delays; a reader that is late may read all at once."""
    client, master = wire.connect(1)
    sent = bytes(range(40))
    with held(wire, member("slicer", 1, stream="upstream", average_size=10, delay=20 * MS)) as evidence:
        began = time.monotonic()
        client.sendall(sent)
        assert receive(master, 40) == sent
        assert time.monotonic() - began >= 0.04
    assert data_segments(master) >= 3
    assert evidence[0].touched is True


def test_limit_data_passes_exactly_so_many_bytes(wire: Wire):
    """Five of eight bytes, then the end."""
    client, master = wire.connect(1)
    with held(wire, member("limit_data", 1, stream="downstream", bytes=5)) as evidence:
        master.sendall(b"12345678")
        assert receive(client, 9) == b"12345"
    assert evidence[0].touched is True


def test_down_cuts_and_refuses_until_healed(wire: Wire, monkeypatch: pytest.MonkeyPatch):
    """An open connection ends, a new one is refused, and after the healing the same port answers."""
    client, _ = wire.connect(1)
    with held(wire, member("down", 1)) as evidence:
        assert how_it_ends(client) == "FIN"
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(wire.links[1].address.connectable)
    assert evidence[0].touched is True
    assert evidence[0].facts["cut"] == 1
    wire.connect(1)


@pytest.mark.parametrize(("private", "attempts", "touched"), [(True, 1, True), (True, 0, False), (False, 1, None)])
def test_down_knows_of_attempts_in_a_private_network_only(
    wire: Wire, monkeypatch: pytest.MonkeyPatch, private: bool, attempts: int, touched: bool | None
):
    """With no connection to cut, refused attempts are the evidence; in a shared network they may not be ours."""
    counted = iter([100, 100 + attempts])
    monkeypatch.setattr(sockets, "tcp_counters", lambda: sockets.TcpCounters(next(counted), 0))
    wire.context.private_network = private
    with held(wire, member("down", 1)) as evidence:
        pass
    assert evidence[0].touched is touched


def test_a_refused_attempt_is_counted_by_the_system(wire: Wire):
    """The evidence of `down` rests on this count."""
    before = sockets.tcp_counters().attempts_failed
    with held(wire, member("down", 1)), pytest.raises(ConnectionRefusedError):
        socket.create_connection(wire.links[1].address.connectable)
    assert sockets.tcp_counters().attempts_failed > before


@pytest.mark.parametrize("stream", ["both", "upstream", "downstream"])
def test_a_partition_silences_open_and_new_connections(wire: Wire, stream: str):
    """Both kinds are silent in the direction that is cut; other ranks are spared."""
    old = wire.connect(1)
    with held(wire, member("partition", 1, **{} if stream == "both" else {"stream": stream})) as evidence:
        for client, master in (old, wire.connect(1)):
            client.sendall(b"up")
            master.sendall(b"down")
            assert silent(master) is (stream != "downstream")
            assert silent(client) is (stream != "upstream")
        spared, master = wire.connect(2)
        master.sendall(b"spared")
        assert receive(spared, 6) == b"spared"
    assert how_it_ends(old[0]) == "FIN"
    assert evidence[0].touched is True
    assert evidence[0].facts["ranks"] == [1]


@pytest.mark.parametrize("kind", TOXICS)
def test_a_toxic_that_met_nothing_says_so(wire: Wire, kind: str):
    """An open, idle connection and another rank's traffic are no evidence."""
    wire.connect(1)
    other, master = wire.connect(2)
    for stream in ("upstream", "downstream"):
        with held(wire, member(kind, 1, stream=stream, **TOXICS[kind])) as evidence:
            other.sendall(b"ping")
            master.sendall(receive(master, 4))
            assert receive(other, 4) == b"ping"
        assert (evidence[0].touched, evidence[0].facts["ranks"]) == (False, [])


@pytest.mark.parametrize("kind", TOXICS)
def test_a_connection_without_a_byte_is_no_evidence(wire: Wire, kind: str):
    """It was made, but nothing that the toxic acts on has come: no byte and no end."""
    with held(wire, member(kind, 1, stream="both", **TOXICS[kind])) as evidence:
        ends = wire.connect(1)
    assert evidence[0].touched is False
    assert evidence[0].facts["accepted"] == 1
    for end in ends:
        end.close()


def test_bytes_against_the_direction_are_no_evidence(wire: Wire):
    """An upstream fault is not touched by what the master sends."""
    client, master = wire.connect(1)
    with held(wire, member("latency", 1, stream="upstream", latency=MS)) as evidence:
        master.sendall(b"down")
        assert receive(client, 4) == b"down"
    assert evidence[0].touched is False


def test_bytes_of_a_connection_that_ended_meanwhile_are_evidence(wire: Wire):
    """Opened before, used and closed while it is active: the server's count of ended connections has its bytes."""
    client, master = wire.connect(1)
    with held(wire, member("latency", 1, stream="upstream", latency=MS)) as evidence:
        client.sendall(b"brief")
        assert receive(master, 5) == b"brief"
        client.close()
        assert how_it_ends(master) == "FIN"
        link = wire.links[1]
        await_true(lambda: link.traffic().upstream_bytes == 5 and link.traffic().open == 0)
    assert evidence[0].touched is True


def test_toxicity_0_passes_everything(wire: Wire):
    """Such a toxic never acts."""
    client, master = wire.connect(1)
    with held(wire, member("blackhole", 1, stream="both", toxicity=0.0)):
        client.sendall(b"through")
        assert receive(master, 7) == b"through"


def test_it_works_on_every_link_of_its_ranks(wire: Wire):
    """Two ranks have two links."""
    pairs = [wire.connect(1), wire.connect(2)]
    with held(wire, member("blackhole", 1, 2, stream="downstream")) as evidence:
        for _, master in pairs:
            master.sendall(b"lost")
        assert all(silent(client) for client, _ in pairs)
    assert met(evidence[0]) == 8


def test_two_faults_of_one_kind_on_one_link_do_not_meet(wire: Wire):
    """Toxics are named after their faults; their delays add up."""
    first, second = (member("latency", 1, stream="downstream", latency=100 * MS) for _ in range(2))
    object.__setattr__(second.fault, "name", "latency of another name")
    client, master = wire.connect(1)
    with held(wire, first), held(wire, second):
        began = time.monotonic()
        master.sendall(b"x")
        assert receive(client, 1) == b"x"
        assert time.monotonic() - began >= 0.2


def test_a_rank_without_a_link_cannot_be_hit(wire: Wire):
    """That is a missing premise, not an error of the harness."""
    with pytest.raises(NothingToHit), member("latency", 7, stream="both", latency=MS).hold(wire.context):
        pass


def test_what_failed_midway_is_healed(wire: Wire):
    """If the second link cannot be hit, the first one is healed."""
    stuck = _Broken(wire.links[2])
    context = FakeFaultContext(known_links=[wire.links[1], stuck])
    client, master = wire.connect(1)
    with pytest.raises(HarnessError, match="broken"):
        member("latency", 1, 2, stream="upstream", latency=60 * S).hold(context).__enter__()
    client.sendall(b"free")
    assert receive(master, 4) == b"free"
    assert stuck.removed == ["latency-upstream"]


def test_an_error_in_the_body_heals(wire: Wire):
    """The fault is healed whatever ends it."""
    client, master = wire.connect(1)
    with contextlib.suppress(KeyError), held(wire, member("latency", 1, stream="upstream", latency=60 * S)):
        raise KeyError
    client.sendall(b"free")
    assert receive(master, 4) == b"free"


class _Broken:
    """A link that takes no toxic."""

    def __init__(self, link):
        self._link = link
        self.removed = []

    def __getattr__(self, name: str):
        return getattr(self._link, name)

    def add_toxic(self, *_):
        raise ProxyLost("broken")

    def remove_toxic(self, name: str):
        self.removed.append(name)
