"""Limit how fast one direction of each connection is."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from typing import Any

from harness.engine.chunk import Chunk, Item
from harness.engine.script import RECEIVE, Action, Script, Send, Site, Wait
from harness.engine.toxics.base import MILLISECOND_NS, Behaviour, toxic

PORTION_MS = 100
"""A chunk that takes longer is cut into portions of this many milliseconds."""


@toxic("bandwidth")
@dataclass(frozen=True)
class Bandwidth(Behaviour):
    """`rate` in kilobytes per second, which is bytes per millisecond; it waits before the bytes. 0 stops all."""

    rate: int = 0

    def script(self, site: Site) -> Script:
        while True:
            item: Item = yield RECEIVE
            if item is None:
                yield Send(None)
                return
            if (yield from self._pass(item)):
                return

    def _pass(self, chunk: Chunk) -> Generator[Action, Any, bool]:
        """Hand a chunk on, in portions; whether it was interrupted."""
        portion = self.rate * PORTION_MS
        while len(chunk.data) > portion:
            interrupted = yield Wait(PORTION_MS * MILLISECOND_NS if self.rate else None)
            if interrupted:
                break
            yield Send(chunk.part(0, portion))
            chunk = chunk.part(portion)
        else:
            interrupted = yield Wait(len(chunk.data) * MILLISECOND_NS // self.rate)
        yield Send(chunk)
        return bool(interrupted)

    def problem(self) -> str:
        return (
            f"rate {self.rate} is negative, which crashes the real server; 0 stops all bytes" if self.rate < 0 else ""
        )
