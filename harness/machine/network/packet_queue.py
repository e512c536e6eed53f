"""Delays packets that the kernel queues to this process (NFQUEUE): `python -m` this module, one process for each fault.

    rule `queue num N` ──▶ kernel's queue ──▶ netlink socket ──▶ heap by due time ──▶ verdict `accept`

The kernel hands over a packet's number, not its bytes. While the socket is not read, packets wait; when it is closed,
the kernel drops those that wait. No packet passes without a verdict: neither a full queue nor one without a reader lets
packets through.
"""

from __future__ import annotations

import errno
import heapq
import json
import os
import random
import select
import socket
import struct
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field

from harness.clock import now_ns
from harness.machine.network import netlink
from harness.machine.network.netlink import attribute
from harness.machine.process import namespaces

_NETLINK_NETFILTER, _SUBSYSTEM = 12, 3 << 8  # NFNL_SUBSYS_QUEUE
_PACKET, _VERDICT, _CONFIG = _SUBSYSTEM, _SUBSYSTEM | 1, _SUBSYSTEM | 2
_FAMILY = struct.Struct("!BBH")
# Attributes of configurations, packets and verdicts (linux/netfilter/nfnetlink_queue.h).
_COMMAND, _PARAMETERS, _LONGEST, _MASK, _FLAGS = 1, 2, 3, 4, 5
_BIND, _WITHOUT_BYTES, _WHOLE_SEGMENTS = 1, 1, 4
_PACKET_HEADER, _VERDICT_HEADER = 1, 2
_ACCEPT = 1
_LONGEST_QUEUE = 100_000
_RECEIVE_BYTES = 1 << 24
_STDIN, _STDOUT = 0, 1


@dataclass(frozen=True)
class Delay:
    """How long packets are held.

    Attributes:
        delay_ns: of each packet, plus or minus up to `jitter_ns`, drawn uniformly.
        reorder: the share of packets that are not delayed, and so overtake those before them.
    """

    delay_ns: int
    jitter_ns: int = 0
    reorder: float = 0.0


@dataclass
class Count:
    """How many packets were held, and how many passed at once.

    Attributes:
        longest_ns, shortest_ns: how long one of `kept` was held at most and at least, until its verdict was sent; 0 if
            none was. On a busy machine any packet may be late, but not all of them.
        waiting: how many are held now.
    """

    kept: int = 0
    at_once: int = 0
    longest_ns: int = 0
    shortest_ns: int = 0
    waiting: int = 0


def open_queue(number: int) -> socket.socket:
    """A socket that reads a queue of this thread's network; raises OSError where the kernel refuses.

    It may be passed to another process: the kernel knows the socket, not its holder.
    """
    queue = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, _NETLINK_NETFILTER)
    try:
        queue.bind((0, 0))
        _configure(queue, number, _COMMAND, struct.pack("!BBH", _BIND, 0, 0))
        _configure(queue, number, _PARAMETERS, struct.pack("!IB", 0, _WITHOUT_BYTES))
        _configure(queue, number, _LONGEST, struct.pack("!I", _LONGEST_QUEUE))
        _configure(queue, number, _FLAGS, struct.pack("!I", _WHOLE_SEGMENTS), struct.pack("!I", _WHOLE_SEGMENTS))
        queue.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _RECEIVE_BYTES)
    except OSError:
        queue.close()
        raise
    return queue


def _configure(queue: socket.socket, number: int, kind: int, value: bytes, mask: bytes = b"") -> None:
    body = attribute(kind, value) + (attribute(_MASK, mask) if mask else b"")
    queue.send(_message(_CONFIG, netlink.REQUEST | netlink.ACKNOWLEDGE, number, body))
    _, answer = next(netlink.messages(queue.recv(1 << 16)))
    code = netlink.error_number(answer)
    if code:
        raise OSError(code, f"the kernel refuses a packet queue: {os.strerror(code)}")


def _message(kind: int, flags: int, number: int, attributes: bytes) -> bytes:
    return netlink.message(kind, flags, _FAMILY.pack(socket.AF_UNSPEC, 0, number) + attributes)


def _packets(data: bytes) -> Iterator[tuple[int, int]]:
    """(number of the queue, number of the packet) of each packet in received bytes."""
    for kind, body in netlink.messages(data):
        if kind == _PACKET:
            _, _, queue = _FAMILY.unpack_from(body)
            yield queue, _packet_number(body)


def _packet_number(body: bytes) -> int:
    header = netlink.find_attribute(body, _PACKET_HEADER, _FAMILY.size)
    if header is None:
        raise ValueError("the kernel handed over a packet without a number; this is a defect of the packet queue")
    return int(struct.unpack_from("!I", header)[0])


@dataclass(order=True)
class _Kept:
    due_ns: int
    order: int
    socket: socket.socket = field(compare=False)
    queue: int = field(compare=False)
    number: int = field(compare=False)
    since_ns: int = field(compare=False)

    def release(self) -> None:
        verdict = attribute(_VERDICT_HEADER, struct.pack("!II", _ACCEPT, self.number))
        try:
            self.socket.send(_message(_VERDICT, netlink.REQUEST, self.queue, verdict))
        except OSError as error:
            if error.errno != errno.ENOENT:  # the network is gone, and the packet with it
                raise


class Keeper:
    """Holds packets until they are due."""

    def __init__(self, delay: Delay, seed: int) -> None:
        self.count = Count()
        self._delay = delay
        self._random = random.Random(seed)
        self._kept: list[_Kept] = []

    def take(self, queue: socket.socket, at_ns: int) -> None:
        """Receive all that a socket has."""
        while data := _received(queue):
            for number, packet in _packets(data):
                order = self.count.kept + self.count.at_once
                kept = _Kept(at_ns + self._drawn_ns(), order, queue, number, packet, at_ns)
                heapq.heappush(self._kept, kept)
        self.count.waiting = len(self._kept)

    def _drawn_ns(self) -> int:
        if self._delay.reorder and self._random.random() < self._delay.reorder:
            self.count.at_once += 1
            return 0
        self.count.kept += 1
        jitter = self._random.uniform(-1, 1) * self._delay.jitter_ns if self._delay.jitter_ns else 0
        return max(0, self._delay.delay_ns + round(jitter))

    def release(self, until_ns: int | None) -> None:
        """Release all packets that are due by then; all if None."""
        while self._kept and (until_ns is None or self._kept[0].due_ns <= until_ns):
            kept = heapq.heappop(self._kept)
            kept.release()
            if kept.due_ns > kept.since_ns or not self._delay.delay_ns:
                held_ns, count = now_ns() - kept.since_ns, self.count
                count.longest_ns = max(count.longest_ns, held_ns)
                count.shortest_ns = min(count.shortest_ns or held_ns, held_ns)
            self.count.waiting = len(self._kept)

    def seconds_left(self, at_ns: int) -> float | None:
        """Seconds until the next packet is due; None if none waits."""
        return max(0, self._kept[0].due_ns - at_ns) / 1e9 if self._kept else None


def _received(queue: socket.socket) -> bytes:
    try:
        return queue.recv(1 << 16, socket.MSG_DONTWAIT)
    except BlockingIOError:
        return b""
    except OSError as error:
        if error.errno == errno.ENOBUFS:  # the buffer was full, and the kernel dropped packets, as a full router does
            return _received(queue)
        raise


def main() -> int:
    """Serve the queues whose sockets are inherited until stdin ends; packets that wait then pass at once.

    Its argument is JSON: `parent` (a pid), `sockets` (descriptors), `delay`, `seed`. It answers each line on stdin with
    the count so far. The first line on stdout is a count too, and shows that it is ready.
    """
    settings = json.loads(sys.argv[1])
    namespaces.end_with_parent()
    if os.getppid() != settings["parent"]:
        return 98
    queues = [socket.socket(fileno=descriptor) for descriptor in settings["sockets"]]
    keeper = Keeper(Delay(**settings["delay"]), settings["seed"])
    _print_count(keeper)
    while _serve(keeper, queues):
        pass
    for queue in queues:
        keeper.take(queue, now_ns())
    keeper.release(None)
    _print_count(keeper)
    return 0


def _serve(keeper: Keeper, queues: list[socket.socket]) -> bool:
    """Wait for a packet, for one to be due, or for a line on stdin; returns whether to go on."""
    by_descriptor = {queue.fileno(): queue for queue in queues}
    readable, _, _ = select.select([*by_descriptor, _STDIN], [], [], keeper.seconds_left(now_ns()))
    for descriptor in readable:
        if descriptor != _STDIN:
            keeper.take(by_descriptor[descriptor], now_ns())
    keeper.release(now_ns())
    if _STDIN not in readable:
        return True
    if not os.read(_STDIN, 4096):
        return False
    _print_count(keeper)
    return True


def _print_count(keeper: Keeper) -> None:
    os.write(_STDOUT, json.dumps(asdict(keeper.count)).encode() + b"\n")


if __name__ == "__main__":
    sys.exit(main())
