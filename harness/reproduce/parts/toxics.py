"""What can go wrong on a link, whatever its bytes mean."""

from __future__ import annotations

import random
import socket
import time
from collections.abc import Iterator
from typing import Any

from harness.reproduce.parts.link import Connection, Cut
from harness.reproduce.parts.link_fault import LinkFault


class Latency(LinkFault):
    """All bytes come later, in order."""

    def __init__(self, name: str, latency: float, jitter: float = 0.0, **others: Any) -> None:
        super().__init__(name, **others)
        self.latency, self.jitter = latency, jitter

    def shape(self, connection: Connection, pieces: Iterator[bytes], arrived: float) -> Iterator[bytes]:
        for piece in pieces:
            if piece:
                delay = self.latency + random.uniform(-self.jitter, self.jitter)
                self.acted = not self.over.wait(max(0.0, arrived + delay - time.monotonic())) or self.acted
            yield piece


class Slicer(LinkFault):
    """All bytes come in small pieces, with a delay after each."""

    def __init__(self, name: str, average_size: int, size_variation: int, delay: float, **others: Any) -> None:
        super().__init__(name, **others)
        self.size, self.variation, self.delay = average_size, size_variation, delay

    def shape(self, connection: Connection, pieces: Iterator[bytes], arrived: float) -> Iterator[bytes]:
        for piece in pieces:
            while len(piece) > self.size and not self.over.is_set():
                size = self.size + random.randint(-self.variation, self.variation)
                yield piece[:size]
                piece = piece[size:]
                self.acted = True
                self.over.wait(self.delay)
            yield piece
            if piece:
                self.over.wait(self.delay)


class Blackhole(LinkFault):
    """All bytes are swallowed; healing closes the connections that have lost some."""

    def __init__(self, name: str, **others: Any) -> None:
        super().__init__(name, **others)
        self.hit: set[Connection] = set()

    def shape(self, connection: Connection, pieces: Iterator[bytes], arrived: float) -> Iterator[bytes]:
        for piece in pieces:
            if piece:
                self.acted = True
                self.hit.add(connection)
        yield b""

    def heal(self, play: Any) -> None:
        super().heal(play)
        for connection in self.hit:
            connection.close()


class Stall(LinkFault):
    """All bytes wait until it is healed."""

    def shape(self, connection: Connection, pieces: Iterator[bytes], arrived: float) -> Iterator[bytes]:
        for piece in pieces:
            self.acted = True
            self.over.wait()
            yield piece


class LimitData(LinkFault):
    """Each connection is closed after so many bytes."""

    def __init__(self, name: str, limit: int, how: str = "fin", **others: Any) -> None:
        super().__init__(name, **others)
        self.limit, self.how = limit, how

    def shape(self, connection: Connection, pieces: Iterator[bytes], arrived: float) -> Iterator[bytes]:
        for piece in pieces:
            passed = connection.memory.get(self, 0)
            connection.memory[self] = passed + len(piece)
            yield piece[: max(0, self.limit - passed)]
            if piece and passed + len(piece) >= self.limit:
                self.acted = True
                raise Cut(self.how)


class ResetPeer(LinkFault):
    """The next bytes, or the end of the stream, are swallowed, and the connection is reset."""

    def __init__(self, name: str, timeout: float = 0.0, **others: Any) -> None:
        super().__init__(name, **others)
        self.timeout = timeout

    def shape(self, connection: Connection, pieces: Iterator[bytes], arrived: float) -> Iterator[bytes]:
        for piece in pieces:
            if not self.over.wait(self.timeout):
                self.acted = True
                raise Cut("rst")
            yield piece


class ResetNow(LinkFault):
    """Every open connection is reset at once."""

    def inject(self, play: Any) -> None:
        super().inject(play)
        for rank in self.ranks:
            for connection in play.links[rank].connections:
                self.acted = True
                connection.close("rst")


class Down(LinkFault):
    """Open connections are cut, and new ones are refused."""

    def inject(self, play: Any) -> None:
        super().inject(play)
        self.acted = True
        for rank in self.ranks:
            link = play.links[rank]
            link.listener.shutdown(socket.SHUT_RDWR)  # wakes the thread that accepts
            link.listener.close()
            for connection in link.connections:
                connection.close()

    def heal(self, play: Any) -> None:
        super().heal(play)
        for rank in self.ranks:
            play.links[rank].open()
