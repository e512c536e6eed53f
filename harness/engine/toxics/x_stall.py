"""Stall for a time, then go on with nothing lost, as a paused process looks from outside."""

from __future__ import annotations

from dataclasses import dataclass

from harness.engine.script import Script, Site, Wait, passing
from harness.engine.toxics.base import MILLISECOND_NS, Behaviour, toxic


@toxic("x_stall")
@dataclass(frozen=True)
class XStall(Behaviour):
    """Nothing passes, not even an end, for `duration` ms after it was added or the connection opened; 0: until removed.

    The sender is stalled too when the buffers are full. A change restarts the time.
    """

    duration: int = 0

    def script(self, site: Site) -> Script:
        site.note("stalls")
        if (yield Wait(self.duration * MILLISECOND_NS if self.duration > 0 else None)):
            return
        site.note("goes on")
        yield from passing()
