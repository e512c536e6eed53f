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
    """

    data: bytes
    time_ns: int


Item: TypeAlias = "Chunk | None"
"""A chunk; None is the end of the stream, and nothing follows it."""
