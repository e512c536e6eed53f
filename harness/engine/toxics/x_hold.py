"""Hold one message of the store's protocol back, and all bytes behind it in its direction."""

from __future__ import annotations

from dataclasses import dataclass

from harness.engine.toxics.base import MILLISECOND_NS, MessageBehaviour, toxic
from harness.engine.wire.rules import HOLD, Hit


@toxic("x_hold")
@dataclass(frozen=True)
class XHold(MessageBehaviour):
    """A `query` or a `reply` of that kind waits for `duration` ms, or, with 0, until the toxic is removed."""

    query: str = ""
    reply: str = ""
    duration: int = 0

    def means(self) -> tuple[str, str]:
        return ("query", self.query) if self.query else ("reply", self.reply)

    def hit(self, toxic: str) -> Hit:
        return Hit(HOLD, toxic, self.kind, self.duration * MILLISECOND_NS if self.duration > 0 else None)

    def problem(self) -> str:
        if bool(self.query) == bool(self.reply):
            return "the message is not given: set either query or reply, to a kind or *"
        return super().problem()
