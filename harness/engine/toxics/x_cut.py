"""Cut a connection after an exact number of bytes of one direction, or at one message of the store's protocol."""

from __future__ import annotations

from dataclasses import dataclass

from harness.engine.chunk import Item
from harness.engine.script import RECEIVE, Script, Send, Site, passing
from harness.engine.toxics.base import MessageBehaviour, toxic
from harness.engine.wire.rules import CUT_AFTER, CUT_BEFORE, SILENCE, Hit, cutting

HOWS = ("fin", "rst", SILENCE)
WHENS = ("before", "after")


@toxic("x_cut")
@dataclass(frozen=True)
class XCut(MessageBehaviour):
    """Cuts each connection after `bytes` more bytes of its direction.

    With `query` or `reply` (a kind, or *) it cuts at a message instead: `when` is before its first byte or after its
    last. `how`: fin and rst end the connection on both sides, also one that was open before; silence swallows all that
    follows in this direction, also the end, as a cable that was cut does.
    """

    bytes: int = 0
    how: str = "fin"
    query: str = ""
    reply: str = ""
    when: str = "before"

    def script(self, site: Site) -> Script:
        return passing() if self.query or self.reply else self._counting(site)

    def _counting(self, site: Site) -> Script:
        while (passed := site.memory.get("passed", 0)) < self.bytes:
            item: Item = yield RECEIVE
            if item is None:
                yield Send(None)
                return
            chunk = item.part(0, self.bytes - passed)
            site.memory["passed"] = passed + len(chunk.data)
            yield Send(chunk)
            if len(chunk.data) < len(item.data):
                break
        site.note("fired", how=self.how)
        yield from cutting(self.how, site)

    def means(self) -> tuple[str, str]:
        if self.query:
            return "query", self.query
        return ("reply", self.reply) if self.reply else ("", "")

    def hit(self, toxic: str) -> Hit:
        return Hit(CUT_BEFORE if self.when == "before" else CUT_AFTER, toxic, self.kind, how=self.how)

    def problem(self) -> str:
        if self.how not in HOWS:
            return f"how {self.how!r} is none of {', '.join(HOWS)}"
        if self.when not in WHENS:
            return f"when {self.when!r} is neither before nor after"
        if self.query and self.reply:
            return "query and reply cannot both be given"
        return f"bytes {self.bytes} is negative" if self.bytes < 0 else super().problem()
