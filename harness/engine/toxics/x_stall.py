"""Stand still for a while, then go on with nothing lost: what a long pause of a process looks like from outside."""

from __future__ import annotations

from dataclasses import dataclass

from harness.engine.script import Script, Site, Wait, passing
from harness.engine.toxics.base import MILLISECOND_NS, Behaviour, toxic


@toxic("x_stall")
@dataclass(frozen=True)
class XStall(Behaviour):
    """Nothing passes, not even an end, for `duration` ms since it was added or the connection opened; 0: until removed.

    A sender is stalled too once the buffers are full. A change begins the while anew.
    """

    duration: int = 0

    def script(self, site: Site) -> Script:
        site.note("stalls")
        if (yield Wait(self.duration * MILLISECOND_NS if self.duration > 0 else None)):
            return
        site.note("goes on")
        yield from passing()
