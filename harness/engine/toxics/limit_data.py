"""Close after a number of bytes."""

from __future__ import annotations

from dataclasses import dataclass

from harness.engine.chunk import Item
from harness.engine.script import RECEIVE, Script, Send, Site
from harness.engine.toxics.base import Behaviour, toxic


@toxic("limit_data")
@dataclass(frozen=True)
class LimitData(Behaviour):
    """Exactly `bytes` pass on each connection since the toxic was added; with the last of them, or the first one too
    many, it closes. A change does not restart the count."""

    bytes: int = 0

    def script(self, site: Site) -> Script:
        while True:
            item: Item = yield RECEIVE
            if item is None:
                yield Send(None)
                return
            passed = site.memory.get("passed", 0)
            chunk = item.part(0, max(0, self.bytes - passed))
            site.memory["passed"] = passed = passed + len(chunk.data)
            if chunk.data:
                yield Send(chunk)
            if passed >= self.bytes:
                site.note("fired", passed=passed)
                yield Send(None)
                return
