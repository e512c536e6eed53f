"""Keep one message of the store's protocol back, and with it whatever comes behind in its direction."""

from __future__ import annotations

from dataclasses import dataclass

from harness.engine.toxics.base import MILLISECOND_NS, MessageBehaviour, toxic
from harness.engine.wire.rules import HOLD, Hit


@toxic("x_hold")
@dataclass(frozen=True)
class XHold(MessageBehaviour):
    """A `query` or a `reply` of that kind waits for `duration` ms, or, with 0, until the toxic is taken away."""

    query: str = ""
    reply: str = ""
    duration: int = 0

    def means(self) -> tuple[str, str]:
        return ("query", self.query) if self.query else ("reply", self.reply)

    def hit(self, toxic: str) -> Hit:
        return Hit(HOLD, toxic, self.kind, self.duration * MILLISECOND_NS if self.duration > 0 else None)

    def problem(self) -> str:
        if bool(self.query) == bool(self.reply):
            return "say which message: either query or reply, a kind or *"
        return super().problem()
