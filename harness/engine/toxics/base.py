"""The contract of a toxic: attributes with defaults, and a script for one direction of one connection."""

from __future__ import annotations

import socket
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, TypeVar

from harness.engine.chunk import Chunk
from harness.engine.script import Script, Site, passing
from harness.engine.wire.decoder import Message
from harness.engine.wire.grammar import ANY
from harness.engine.wire.rules import Hit, kind_problem, matches

MILLISECOND_NS = 1_000_000
MICROSECOND_NS = 1_000


@dataclass(frozen=True)
class Behaviour(ABC):
    """What a toxic does, with its attributes as fields; their names and units are Toxiproxy's.

    Attributes:
        queue_chunks: how many chunks may wait before it; then the stage before it waits.
        closes_when_removed: whether its removal closes the connection, because bytes are missing.
        half_closes: whether one direction may end without the other while it exists.
    """

    kind: ClassVar[str]
    queue_chunks: ClassVar[int] = 0
    closes_when_removed: ClassVar[bool] = False
    half_closes: ClassVar[bool] = False

    @abstractmethod
    def script(self, site: Site) -> Script:
        """The toxic at work, from now on, on one direction of one connection."""

    def problem(self) -> str:
        """Why these values are invalid; empty if they are valid."""
        return ""

    def left_behind(self, memory: dict[str, Any]) -> list[Chunk]:
        """The chunks in its memory that must be passed on when it no longer acts."""
        return []


class ListenerBehaviour(Behaviour):
    """A toxic that acts on clients before they are connections; its stream does not matter.

    Attributes:
        closes_listener: whether connecting is refused while it exists.
        fills_backlog: whether the listening socket answers no client while it exists.
    """

    closes_listener: ClassVar[bool] = False
    fills_backlog: ClassVar[bool] = False

    def script(self, site: Site) -> Script:
        return passing()

    def on_client(self, sock: socket.socket, memory: dict[str, Any]) -> bool:
        """Handle a client; False to admit it, True if the toxic has taken its socket. `memory` is the toxic's."""
        return False

    def release(self, memory: dict[str, Any]) -> None:
        """Close the sockets that it keeps: it is removed, or its proxy stops."""


@dataclass(frozen=True)
class MessageBehaviour(Behaviour):
    """A toxic that acts on messages of the store's protocol; its stream does not matter.

    `key` is a pattern. `nth` counts from 1, over all connections of the proxy since the toxic was added (`per` proxy),
    or on each connection. `times` is how many messages it hits from that one on; 0 is all.
    """

    key: str = ANY
    nth: int = 1
    times: int = 1
    per: str = "proxy"

    def script(self, site: Site) -> Script:
        return passing()

    def means(self) -> tuple[str, str]:
        """The side, `query` or `reply`, and the kind of the message; an empty side if it selects no message."""
        raise NotImplementedError

    def hit(self, toxic: str) -> Hit:
        """What happens to a message that is hit."""
        raise NotImplementedError

    def problem(self) -> str:
        side, kind = self.means()
        if side and (problem := kind_problem(kind)):
            return problem
        if self.per not in ("proxy", "connection"):
            return f"per {self.per!r} is neither proxy nor connection"
        return "" if self.nth >= 1 and self.times >= 0 else "nth counts from 1 on, times from 0 on"

    def is_meant(self, message: Message, proxy_memory: dict[str, Any], connection_memory: dict[str, Any]) -> bool:
        """Count a message; whether it is hit."""
        side, kind = self.means()
        if not matches(message, side, kind, self.key):
            return False
        memory = proxy_memory if self.per == "proxy" else connection_memory
        memory["seen"] = seen = memory.get("seen", 0) + 1
        return seen >= self.nth and (self.times == 0 or seen < self.nth + self.times)


BEHAVIOURS: dict[str, type[Behaviour]] = {}

Kind = TypeVar("Kind", bound=type[Behaviour])


def toxic(kind: str) -> Callable[[Kind], Kind]:
    """Class decorator: register a toxic under its name in the API."""

    def remember(behaviour: Kind) -> Kind:
        behaviour.kind = kind
        BEHAVIOURS[kind] = behaviour
        return behaviour

    return remember
