"""What acts on the bytes of a link."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

from harness.reproduce.parts.fault import Fault
from harness.reproduce.parts.link import Connection


class LinkFault(Fault):
    """Acts on the bytes of the links of its ranks; `streams` are upstream (to the master), downstream, or both."""

    def __init__(self, name: str, streams: tuple[str, ...] = ("upstream", "downstream"), **others: Any) -> None:
        super().__init__(name, **others)
        self.streams = streams
        self.over = threading.Event()

    def inject(self, play: Any) -> None:
        for rank in self.ranks:
            play.links[rank].faults.append(self)

    def heal(self, play: Any) -> None:
        for rank in self.ranks:
            play.links[rank].faults.remove(self)
        self.over.set()

    def shape(self, connection: Connection, pieces: Iterator[bytes], arrived: float) -> Iterator[bytes]:
        """What becomes of some bytes; an empty piece is the end of the stream."""
        return pieces
