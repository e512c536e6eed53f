"""Tries a toxic on a connection of the harness's own through a server that does not say what its toxics do."""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass

from harness import clock
from harness.machine.toxiproxy.client import Api
from harness.values.endpoint import Endpoint
from harness.values.errors import HarnessError
from harness.values.toxic_effect import ToxicEffect

LOOPBACK = "127.0.0.1"
SHORT_BYTES, MOST_BYTES = 16, 1 << 16
"""What is sent: so much fits into the kernel's buffers, and the server reads it without waiting for the other side."""

BANDWIDTH_PART = 50
"""Of a second: for how long a probe of a bandwidth keeps its connection busy."""

MADE_WITHIN_S = 2.0
ARRIVES_WITHIN_S = 0.05
"""After it was sent. What nothing holds takes a millisecond; a busy machine gets some turns of its scheduler."""

# In struct tcp_info (linux/tcp.h) since Linux 4.6: how many segments with data have arrived.
_DATA_SEGMENTS_IN, _TCP_INFO_BYTES = 152, 160


@dataclass(frozen=True)
class Tried:
    """A toxic as it is tried."""

    kind: str
    stream: str
    attributes: Mapping[str, int | str]

    def certain(self) -> dict[str, int | str]:
        """Its attributes, without what is drawn at random: one piece is too few to tell."""
        return {**self.attributes, **({"jitter": 0} if "jitter" in self.attributes else {})}

    def payload(self) -> bytes | None:
        """The bytes that show its effect; none for one that acts on ends; None if no such bytes show it for certain."""
        number = {name: int(value) for name, value in self.attributes.items()}
        if self.kind == "latency" and not number.get("latency"):
            return None  # the rest is drawn at random
        wanted = {
            "slow_close": 0,
            "limit_data": number.get("bytes", 0) + 1,
            "slicer": 4 * (number.get("average_size", 0) + number.get("size_variation", 0)),
            "bandwidth": min(MOST_BYTES, max(SHORT_BYTES, number.get("rate", 0) * 1000 // BANDWIDTH_PART)),
        }.get(self.kind, SHORT_BYTES)
        return b"\0" * wanted if wanted <= MOST_BYTES else None


@contextlib.contextmanager
def probing(
    api: Api, name: str, tried: Tried, inside: Callable[[], AbstractContextManager[None]]
) -> Iterator[Callable[[], ToxicEffect | None]]:
    """Make a proxy of that name with the toxic and one connection, and send bytes or an end through it.

    Yields a function that returns what was seen at both ends so far; None if no probe can show this toxic's effect.

    Args:
        inside: a context in which the server's loopback is this thread's.
    """
    payload = tried.payload()
    if payload is None:
        yield lambda: None
        return
    with contextlib.ExitStack() as stack:
        with inside():
            master = stack.enter_context(socket.create_server((LOOPBACK, 0)))
        (proxy,) = api.populate([(name, Endpoint(LOOPBACK, master.getsockname()[1]))], LOOPBACK)
        stack.callback(api.delete, proxy)
        api.add_toxic(proxy, "probe", tried.kind, tried.stream, 1.0, tried.certain())
        master.settimeout(MADE_WITHIN_S)
        try:
            with inside():
                client = stack.enter_context(
                    socket.create_connection(Endpoint.parse(proxy.listen).connectable, MADE_WITHIN_S)
                )
            far = stack.enter_context(master.accept()[0])
        except OSError as error:
            raise HarnessError(f"a probe of {tried.kind} gets no connection through its own proxy ({error})") from error
        ends = (client, far) if tried.stream == "upstream" else (far, client)
        yield stack.enter_context(_Receiver(*ends, payload, swallows=tried.kind == "timeout")).effect


class _Receiver:
    """Sends through one end, and notes in a thread when what arrives at the other."""

    def __init__(self, sender: socket.socket, receiver: socket.socket, payload: bytes, swallows: bool) -> None:
        self._sender, self._receiver, self._payload, self._swallows = sender, receiver, payload, swallows
        self._received = self._whole_ns = self._end_ns = 0
        self._was_reset = False
        self._news = threading.Event()
        self._thread = threading.Thread(target=self._receive, name="probe", daemon=True)

    def __enter__(self) -> _Receiver:
        self._receiver.settimeout(None)
        self._began_ns = clock.now_ns()
        with contextlib.suppress(OSError):  # a toxic may end the connection while it is written
            if self._payload:
                self._sender.sendall(self._payload)
            else:
                self._sender.shutdown(socket.SHUT_WR)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(OSError):
            self._receiver.shutdown(socket.SHUT_RDWR)
        self._thread.join()

    def _receive(self) -> None:
        try:
            while data := self._receiver.recv(MOST_BYTES):
                self._received += len(data)
                if self._received == len(self._payload):
                    self._whole_ns = clock.now_ns()
                    self._news.set()
        except OSError:
            self._was_reset = True
        self._end_ns = clock.now_ns()
        self._news.set()

    def effect(self) -> ToxicEffect:
        """What was seen so far, as the toxic's effect."""
        self._news.wait(max(0.0, ARRIVES_WITHIN_S - (clock.now_ns() - self._began_ns) / 1e9))
        size, received, whole_ns, end_ns = len(self._payload), self._received, self._whole_ns, self._end_ns
        waited_ns = clock.now_ns() - self._began_ns
        if not size:
            done = ToxicEffect(ends=1, longest_end_ns=end_ns - self._began_ns)
            return done if end_ns else ToxicEffect(waiting_ns=waited_ns)
        if whole_ns:
            held_ns, pieces = whole_ns - self._began_ns, self._segments()
            return ToxicEffect(1, size, held_ns, held_ns, split=int(pieces > 1), pieces=pieces if pieces > 1 else 0)
        if end_ns:
            return ToxicEffect(
                passed_bytes=received, cuts=1, resets=int(self._was_reset), swallowed_bytes=size - received
            )
        if self._swallows:
            return ToxicEffect(swallowed_bytes=size - received)
        return ToxicEffect(waiting_ns=waited_ns)

    def _segments(self) -> int:
        info = self._receiver.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _TCP_INFO_BYTES)
        return int(struct.unpack_from("=I", info, _DATA_SEGMENTS_IN)[0]) if len(info) == _TCP_INFO_BYTES else 0
