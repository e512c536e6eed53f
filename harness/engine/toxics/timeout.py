"""Swallow every byte, and close after a time without bytes."""

from __future__ import annotations

from dataclasses import dataclass

from harness.engine.chunk import Item
from harness.engine.script import EXPIRED, Expired, Receive, Script, Send, Site
from harness.engine.toxics.base import MILLISECOND_NS, Behaviour, toxic


@toxic("timeout")
@dataclass(frozen=True)
class Timeout(Behaviour):
    """Closes `timeout` ms after the last chunk, or after it was added; 0 never does. An end passes."""

    timeout: int = 0

    closes_when_removed = True

    def script(self, site: Site) -> Script:
        limit_ns = self.timeout * MILLISECOND_NS if self.timeout > 0 else None
        item: Item | Expired = yield Receive(limit_ns)
        while item is not EXPIRED and item is not None:
            if "swallows" not in site.memory:
                site.memory["swallows"] = True
                site.note("swallows")
            item = yield Receive(limit_ns)
        if item is EXPIRED:
            site.note("fired")
        yield Send(None)
