"""Cut the bytes of one read into small pieces."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from random import Random

from harness.engine.chunk import Item
from harness.engine.script import RECEIVE, Script, Send, Site, Wait
from harness.engine.toxics.base import MICROSECOND_NS, Behaviour, toxic


@toxic("slicer")
@dataclass(frozen=True)
class Slicer(Behaviour):
    """Pieces of about `average_size` bytes, plus or minus `size_variation`, and `delay` microseconds after each."""

    average_size: int = 0
    size_variation: int = 0
    delay: int = 0

    def script(self, site: Site) -> Script:
        while True:
            item: Item = yield RECEIVE
            if item is None:
                yield Send(None)
                return
            at = 0
            for end in self._cuts(0, len(item.data), site.random):
                yield Send(item.part(at, end))
                at = end
                if (yield Wait(self.delay * MICROSECOND_NS)):
                    if at < len(item.data):
                        yield Send(item.part(at))
                    return

    def _cuts(self, begin: int, end: int, random: Random) -> Iterator[int]:
        """The ends of pieces: halves of halves, the middle moved at random, until each is short; none is empty."""
        if end - begin <= self.average_size + self.size_variation:
            if begin < end:
                yield end
            return
        middle = begin + (end - begin) // 2
        if self.size_variation > 0:
            middle += random.randrange(-self.size_variation, self.size_variation)
        yield from self._cuts(begin, middle, random)
        yield from self._cuts(middle, end, random)

    def problem(self) -> str:
        if self.average_size < 1:
            return f"average_size {self.average_size} is below 1, which crashes the real server"
        if not 0 <= self.size_variation <= self.average_size:
            return f"size_variation {self.size_variation} is not between 0 and average_size {self.average_size}"
        return ""
