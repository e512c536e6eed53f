"""Delay the end of a stream."""

from __future__ import annotations

from dataclasses import dataclass

from harness.engine.chunk import Item
from harness.engine.script import RECEIVE, Script, Send, Site, Wait
from harness.engine.toxics.base import MILLISECOND_NS, Behaviour, toxic


@toxic("slow_close")
@dataclass(frozen=True)
class SlowClose(Behaviour):
    """Bytes pass; the end is delayed by `delay` ms. A change during that time restarts it."""

    delay: int = 0

    def script(self, site: Site) -> Script:
        while True:
            item: Item = yield RECEIVE
            if item is None and (yield Wait(self.delay * MILLISECOND_NS)):
                return
            yield Send(item)
