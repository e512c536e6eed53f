"""Swallow one reply of the store's protocol: the query was executed, but the client gets no reply."""

from __future__ import annotations

from dataclasses import dataclass

from harness.engine.toxics.base import MessageBehaviour, toxic
from harness.engine.wire.grammar import ANY
from harness.engine.wire.rules import DROP, Hit


@toxic("x_drop_reply")
@dataclass(frozen=True)
class XDropReply(MessageBehaviour):
    """The connection stays open. `reply` is the kind of the query that it answers."""

    reply: str = ANY

    def means(self) -> tuple[str, str]:
        return "reply", self.reply

    def hit(self, toxic: str) -> Hit:
        return Hit(DROP, toxic, self.kind)
