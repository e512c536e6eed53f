"""Delayed packets: for how long, in which order, and what becomes of them at the end."""

from __future__ import annotations

import shutil
import socket
import struct
from collections.abc import Iterator

import pytest
from users import User

from harness.machine.network.packet_queue import Count, Delay, Keeper

MS = 1_000_000
PACKET, VERDICT = 0x300, 0x301
WITH_HOSTS = [
    pytest.mark.usefixtures("namespaces_allowed"),
    pytest.mark.skipif(shutil.which("nft", path="/usr/sbin:/sbin:/usr/bin") is None, reason="needs nft"),
]


class Kernel:
    """A double of the kernel's side of a queue: hands packets over and receives verdicts."""

    def __init__(self) -> None:
        self.ours, self.theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.ours.setblocking(False)

    def hand_over(self, *numbers: int) -> None:
        """Packets, all in one message of the socket."""
        self.ours.send(b"".join(map(self._packet, numbers)))

    @staticmethod
    def _packet(number: int) -> bytes:
        header = struct.pack("=HH", 11, 1) + struct.pack("!IHB", number, 0x0800, 1) + b"\0"
        mark = struct.pack("=HH", 8, 3) + bytes(4)  # an attribute that the queue does not read
        body = struct.pack("!BBH", socket.AF_INET, 0, 7) + mark + header
        return struct.pack("=IHHII", 16 + len(body), PACKET, 0, 0, 0) + body

    def released(self) -> list[int]:
        """The packets that were accepted since the last call, in order."""
        return list(self._verdicts())

    def _verdicts(self) -> Iterator[int]:
        while True:
            try:
                message = self.ours.recv(1 << 16)
            except BlockingIOError:
                return
            kind, queue = struct.unpack_from("=H", message, 4)[0], struct.unpack_from("!H", message, 18)[0]
            verdict, number = struct.unpack_from("!II", message, 24)
            assert (kind, queue, verdict) == (VERDICT, 7, 1)
            yield number


@pytest.fixture
def kernel() -> Iterator[Kernel]:
    made = Kernel()
    with made.ours, made.theirs:
        yield made


def test_a_packet_passes_when_its_time_has_come(kernel: Kernel) -> None:
    """Not earlier, and the keeper computes how long it may sleep."""
    keeper = Keeper(Delay(50 * MS), seed=1)
    kernel.hand_over(1)
    keeper.take(kernel.theirs, 0)
    kernel.hand_over(2)
    keeper.take(kernel.theirs, 20 * MS)
    keeper.release(49 * MS)
    assert kernel.released() == []
    assert keeper.seconds_left(49 * MS) == 0.001
    keeper.release(50 * MS)
    assert kernel.released() == [1]
    keeper.release(70 * MS)
    assert kernel.released() == [2]
    assert keeper.seconds_left(70 * MS) is None


def test_packets_that_arrive_together_keep_their_order(kernel: Kernel) -> None:
    """A delay without jitter reorders nothing."""
    keeper = Keeper(Delay(MS), seed=1)
    kernel.hand_over(*range(1, 100))
    keeper.take(kernel.theirs, 0)
    keeper.release(MS)
    assert kernel.released() == list(range(1, 100))


def test_jitter_reorders_as_the_seed_determines(kernel: Kernel) -> None:
    """The same packets and the same seed give the same order, and another seed gives another."""
    orders = []
    for seed in (1, 1, 2):
        keeper = Keeper(Delay(50 * MS, jitter_ns=50 * MS), seed)
        kernel.hand_over(*range(20))
        keeper.take(kernel.theirs, 0)
        keeper.release(100 * MS)
        orders.append(kernel.released())
    assert orders[0] == orders[1] != orders[2]
    assert orders[0] != sorted(orders[0]) == list(range(20))


def test_a_share_of_packets_goes_at_once(kernel: Kernel) -> None:
    """They overtake the rest, and are counted."""
    keeper = Keeper(Delay(50 * MS, reorder=0.5), seed=1)
    kernel.hand_over(*range(100))
    keeper.take(kernel.theirs, 0)
    keeper.release(0)
    at_once = kernel.released()
    assert 30 < len(at_once) < 70
    kept = 100 - len(at_once)
    assert keeper.count == Count(kept=kept, at_once=len(at_once), waiting=kept)
    keeper.release(50 * MS)
    assert sorted(at_once + kernel.released()) == list(range(100))


def test_at_the_end_all_waiting_packets_pass(kernel: Kernel) -> None:
    """In the order of their due times."""
    keeper = Keeper(Delay(50 * MS), seed=1)
    kernel.hand_over(1, 2, 3)
    keeper.take(kernel.theirs, 0)
    keeper.release(None)
    assert kernel.released() == [1, 2, 3]


# -- between hosts -------------------------------------------------------------------------------------------------


class TestBetweenHosts:
    pytestmark = WITH_HOSTS

    @pytest.mark.parametrize(("way", "round_trip_ns"), [("out", 200 * MS), ("in", 200 * MS), ("both", 400 * MS)])
    def test_a_delayed_host_answers_late_and_no_other_does(self, user: User, way: str, round_trip_ns: int) -> None:
        """Each delayed way adds 200 ms; the facts name the mechanism and count the packets."""
        saw = user.ask_privately("network_faults.py", "delay", way)
        assert saw["late_ns"] >= round_trip_ns
        assert saw["aside_ns"] < 200 * MS
        assert saw["after"] == "all"
        assert saw["facts"]["by"] in ("netem", "nfqueue", "nfqueue through iptables")
        assert saw["facts"]["packets"] >= (2 if way == "both" else 1)

    def test_healing_a_delay_of_an_hour_lets_the_byte_pass(self, user: User) -> None:
        """TCP would send it again sooner or later; the keeper releases the first one."""
        assert user.ask_privately("network_faults.py", "healed_delay") == "x"

    def test_a_killed_keeper_lets_nothing_pass_and_its_end_is_an_error(self, user: User) -> None:
        """Both reading the evidence and healing raise it; afterwards packets pass."""
        saw = user.ask_privately("network_faults.py", "killed_keeper")
        assert saw["heard"] == "TimeoutError"
        assert "ended on its own" in saw["evidence"]
        assert "packets were lost" in saw["healing"]
        assert saw["after"] == "all"
