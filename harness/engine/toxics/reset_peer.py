"""Reset the connection at the first byte."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from harness.engine.chunk import Chunk, Item
from harness.engine.script import RECEIVE, Script, Send, Site, Wait
from harness.engine.toxics.base import MILLISECOND_NS, Behaviour, toxic

_ARMED = "armed"


@toxic("reset_peer")
@dataclass(frozen=True)
class ResetPeer(Behaviour):
    """`timeout` ms after the first chunk or end, that chunk is swallowed and both peers get RST.

    A connection that was opened before the toxic was added gets FIN, as from the real server. Unlike there, the
    countdown ends when the toxic is removed (then the chunk passes), and a toxic that did not fire leaves no trace.
    """

    timeout: int = 0

    def script(self, site: Site) -> Script:
        if _ARMED not in site.memory:
            item: Item = yield RECEIVE
            site.memory[_ARMED] = item
        if (yield Wait(self.timeout * MILLISECOND_NS)):
            return
        del site.memory[_ARMED]
        if site.opened_with:
            site.reset_on_close()
        site.note("fired", reset=site.opened_with)
        yield Send(None)

    def left_behind(self, memory: dict[str, Any]) -> list[Chunk]:
        chunk = memory.pop(_ARMED, None)
        return [] if chunk is None else [chunk]
