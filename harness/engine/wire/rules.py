"""Which message a toxic means: the Nth query or reply of a kind, of keys that match a pattern."""

from __future__ import annotations

from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

from harness.engine.chunk import Item
from harness.engine.script import RECEIVE, Script, Send, Site, Wait, passing
from harness.engine.toxics.base import Behaviour
from harness.engine.wire.decoder import Message
from harness.engine.wire.grammar import ANY, GRAMMARS, KINDS

DROP, HOLD, CUT_BEFORE, CUT_AFTER = "drop", "hold", "cut before", "cut after"


def matches(message: Message, side: str, kind: str, key: str) -> bool:
    """Whether a message is meant; a key is matched with or without the `/` that torch puts before it."""
    return (
        message.side == side
        and kind in (ANY, message.kind)
        and (key == ANY or any(fnmatchcase(one, key) or fnmatchcase(one[1:], key) for one in message.keys))
    )


def kind_problem(kind: str) -> str:
    """Why a kind cannot be meant; empty if it can."""
    return "" if kind in KINDS else f"{kind!r} is no kind of query; known: {', '.join(GRAMMARS)}, or *"


@dataclass(frozen=True)
class Hit:
    """What becomes of a message that is meant."""

    what: str
    toxic: str
    kind: str
    duration_ns: int | None = None
    how: str = ""


@dataclass(frozen=True)
class WireBehaviour(Behaviour):
    """A toxic that acts on messages of the store's protocol, wherever they pass; its `stream` says nothing.

    `key` is a pattern. `nth` counts from 1 on, over all connections of the proxy since the toxic was added (`per`
    proxy), or on each connection. `times`: so many from that one on; 0 is all.
    """

    key: str = ANY
    nth: int = 1
    times: int = 1
    per: str = "proxy"

    def script(self, site: Site) -> Script:
        return passing()

    def means(self) -> tuple[str, str]:
        """The side, `query` or `reply`, and the kind; an empty side if it is not on the wire this time."""
        raise NotImplementedError

    def hit(self, toxic: str) -> Hit:
        """What becomes of it."""
        raise NotImplementedError

    def problem(self) -> str:
        side, kind = self.means()
        if side and (problem := kind_problem(kind)):
            return problem
        if self.per not in ("proxy", "connection"):
            return f"per {self.per!r} is neither proxy nor connection"
        return "" if self.nth >= 1 and self.times >= 0 else "nth counts from 1 on, times from 0 on"

    def is_meant(self, message: Message, proxy_memory: dict[str, Any], connection_memory: dict[str, Any]) -> bool:
        """Count a message, and whether this one is hit."""
        side, kind = self.means()
        if not matches(message, side, kind, self.key):
            return False
        memory = proxy_memory if self.per == "proxy" else connection_memory
        memory["seen"] = seen = memory.get("seen", 0) + 1
        return seen >= self.nth and (self.times == 0 or seen < self.nth + self.times)


def cutting(how: str, site: Site) -> Script:
    """End the stream so, or say nothing more."""
    if how == "silence":
        item: Item = yield RECEIVE
        while item is not None:
            item = yield RECEIVE
        yield Wait(None)
        return
    if how == "rst":
        site.reset_on_close()
    yield Send(None)
