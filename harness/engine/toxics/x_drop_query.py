"""Swallow one query of the store's protocol: the server never receives it."""

from __future__ import annotations

from dataclasses import dataclass

from harness.engine.toxics.base import MessageBehaviour, toxic
from harness.engine.wire.grammar import ANY
from harness.engine.wire.rules import DROP, Hit


@toxic("x_drop_query")
@dataclass(frozen=True)
class XDropQuery(MessageBehaviour):
    """The connection stays open; a client that expects a reply waits for it."""

    query: str = ANY

    def means(self) -> tuple[str, str]:
        return "query", self.query

    def hit(self, toxic: str) -> Hit:
        return Hit(DROP, toxic, self.kind)
