"""Packets that the kernel hands to a process (NFQUEUE), kept for a while and let go: `python -m` this, one for a fault.

    rule `queue num N` ──▶ kernel's queue ──▶ netlink socket ──▶ heap by due time ──▶ verdict `accept`

Only a packet's number comes here, not its bytes. While nobody reads, packets wait; when the socket is closed, the
kernel drops what waits. Nothing passes unasked: neither a queue that is full nor one without a reader lets packets by.
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
from harness.machine.process import namespaces

_NETLINK_NETFILTER, _SUBSYSTEM = 12, 3 << 8  # NFNL_SUBSYS_QUEUE
_PACKET, _VERDICT, _CONFIG = _SUBSYSTEM, _SUBSYSTEM | 1, _SUBSYSTEM | 2
_REQUEST, _ACKNOWLEDGE, _ERROR = 1, 4, 2
_HEADER, _FAMILY = struct.Struct("=IHHII"), struct.Struct("!BBH")
_ATTRIBUTE = struct.Struct("=HH")
# Of configuration, of packets, of verdicts (linux/netfilter/nfnetlink_queue.h).
_COMMAND, _PARAMETERS, _LONGEST, _MASK, _FLAGS = 1, 2, 3, 4, 5
_BIND, _WITHOUT_BYTES, _WHOLE_SEGMENTS = 1, 1, 4
_PACKET_HEADER, _VERDICT_HEADER = 1, 2
_ACCEPT = 1
_LONGEST_QUEUE = 100_000
_RECEIVE_BYTES = 1 << 24
_STDIN, _STDOUT = 0, 1


@dataclass(frozen=True)
class Delay:
    """How long packets are kept.

    Attributes:
        delay_ns: each, give or take up to `jitter_ns`, evenly drawn.
        reorder: the share of packets that go at once, and so overtake those before them.
    """

    delay_ns: int
    jitter_ns: int = 0
    reorder: float = 0.0


@dataclass
class Count:
    """How many packets were kept, and how many went at once."""

    kept: int = 0
    at_once: int = 0


def open_queue(number: int) -> socket.socket:
    """The reading end of a queue of this thread's network; raises OSError where the kernel refuses.

    It may be handed to another process: the kernel knows the socket, not who holds it.
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
    body = _attribute(kind, value) + (_attribute(_MASK, mask) if mask else b"")
    queue.send(_message(_CONFIG, _REQUEST | _ACKNOWLEDGE, number, body))
    answer = queue.recv(1 << 16)
    (code,) = struct.unpack_from("=i", answer, _HEADER.size)
    if code:
        raise OSError(-code, f"the kernel refuses a packet queue: {os.strerror(-code)}")


def _message(kind: int, flags: int, number: int, body: bytes) -> bytes:
    family = _FAMILY.pack(socket.AF_UNSPEC, 0, number)
    return _HEADER.pack(_HEADER.size + len(family) + len(body), kind, flags, 0, 0) + family + body


def _attribute(kind: int, value: bytes) -> bytes:
    padding = b"\0" * (-len(value) % 4)
    return _ATTRIBUTE.pack(_ATTRIBUTE.size + len(value), kind) + value + padding


def _packets(data: bytes) -> Iterator[tuple[int, int]]:
    """(number of the queue, number of the packet) of each packet in what a socket brought."""
    at = 0
    while at + _HEADER.size <= len(data):
        length, kind, *_ = _HEADER.unpack_from(data, at)
        if kind == _PACKET:
            _, _, queue = _FAMILY.unpack_from(data, at + _HEADER.size)
            yield queue, _packet_number(data[at + _HEADER.size + _FAMILY.size : at + length])
        at += max(_HEADER.size, (length + 3) & ~3)


def _packet_number(attributes: bytes) -> int:
    at = 0
    while at + _ATTRIBUTE.size <= len(attributes):
        length, kind = _ATTRIBUTE.unpack_from(attributes, at)
        if kind == _PACKET_HEADER:
            return int(struct.unpack_from("!I", attributes, at + _ATTRIBUTE.size)[0])
        at += max(_ATTRIBUTE.size, (length + 3) & ~3)
    raise ValueError("the kernel handed over a packet without a number; this is a defect of the packet queue")


@dataclass(order=True)
class _Kept:
    due_ns: int
    order: int
    socket: socket.socket = field(compare=False)
    queue: int = field(compare=False)
    number: int = field(compare=False)

    def release(self) -> None:
        verdict = _attribute(_VERDICT_HEADER, struct.pack("!II", _ACCEPT, self.number))
        try:
            self.socket.send(_message(_VERDICT, _REQUEST, self.queue, verdict))
        except OSError as error:
            if error.errno != errno.ENOENT:  # the network went away, and the packet with it
                raise


class Keeper:
    """Keeps packets until they are due."""

    def __init__(self, delay: Delay, seed: int) -> None:
        self.count = Count()
        self._delay = delay
        self._random = random.Random(seed)
        self._kept: list[_Kept] = []

    def take(self, queue: socket.socket, at_ns: int) -> None:
        """Take in what a socket has, all of it."""
        while data := _received(queue):
            for number, packet in _packets(data):
                order = self.count.kept + self.count.at_once
                kept = _Kept(at_ns + self._drawn_ns(), order, queue, number, packet)
                heapq.heappush(self._kept, kept)

    def _drawn_ns(self) -> int:
        if self._delay.reorder and self._random.random() < self._delay.reorder:
            self.count.at_once += 1
            return 0
        self.count.kept += 1
        jitter = self._random.uniform(-1, 1) * self._delay.jitter_ns if self._delay.jitter_ns else 0
        return max(0, self._delay.delay_ns + round(jitter))

    def release(self, until_ns: int | None) -> None:
        """Let all pass that are due by then; all there are if None."""
        while self._kept and (until_ns is None or self._kept[0].due_ns <= until_ns):
            heapq.heappop(self._kept).release()

    def seconds_left(self, at_ns: int) -> float | None:
        """Until the next is due; None if there is none."""
        return max(0, self._kept[0].due_ns - at_ns) / 1e9 if self._kept else None


def _received(queue: socket.socket) -> bytes:
    try:
        return queue.recv(1 << 16, socket.MSG_DONTWAIT)
    except BlockingIOError:
        return b""
    except OSError as error:
        if error.errno == errno.ENOBUFS:  # more packets than fit: the kernel dropped some, as a full router does
            return _received(queue)
        raise


def main() -> int:
    """Serve the queues whose sockets are inherited, until stdin ends: what waits then passes at once.

    Its argument is JSON: `parent` (a pid), `sockets` (descriptors), `delay`, `seed`. Each line on stdin is answered by
    the count so far; the first line on stdout is a count too, and says that it is ready.
    """
    told = json.loads(sys.argv[1])
    namespaces.end_with_parent()
    if os.getppid() != told["parent"]:
        return 98
    queues = [socket.socket(fileno=descriptor) for descriptor in told["sockets"]]
    keeper = Keeper(Delay(**told["delay"]), told["seed"])
    _tell(keeper)
    while _serve(keeper, queues):
        pass
    for queue in queues:
        keeper.take(queue, now_ns())
    keeper.release(None)
    _tell(keeper)
    return 0


def _serve(keeper: Keeper, queues: list[socket.socket]) -> bool:
    """Wait for a packet, for one to be due, or for a question; whether to go on."""
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
    _tell(keeper)
    return True


def _tell(keeper: Keeper) -> None:
    os.write(_STDOUT, json.dumps(asdict(keeper.count)).encode() + b"\n")


if __name__ == "__main__":
    sys.exit(main())
