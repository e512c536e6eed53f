"""The items of a pipeline: chunks of bytes with the time they were read, and at last the end."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

CHUNK_BYTES = 32 * 1024
"""As much as the real server reads at once (the buffer of Go's io.Copy); toxics act on the bytes of one read."""


@dataclass(slots=True)
class Chunk:
    """Bytes of one read, or a part of them.

    Attributes:
        time_ns: when they were read; a latency moves it on by what it slept, so that two latencies add up.
        at: the place of the first of them in what the entrance of the pipeline has sent on, from 0.
    """

    data: bytes
    time_ns: int
    at: int = 0

    def part(self, begin: int, end: int | None = None) -> Chunk:
        """Some of its bytes, as a slice selects them; neither place is negative."""
        return Chunk(self.data[begin:end], self.time_ns, self.at + begin)


Item: TypeAlias = "Chunk | None"
"""A chunk; None is the end of the stream, and nothing follows it."""
