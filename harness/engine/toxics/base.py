"""What a toxic promises: attributes with defaults, and a script for one direction of one connection."""

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
        queue_chunks: how many chunks wait in front of it before whatever comes before it must wait too.
        closes_when_removed: bytes are missing, so that the connection cannot go on without it.
        half_closes: while it is there, an end in one direction leaves the other alone.
    """

    kind: ClassVar[str]
    queue_chunks: ClassVar[int] = 0
    closes_when_removed: ClassVar[bool] = False
    half_closes: ClassVar[bool] = False

    @abstractmethod
    def script(self, site: Site) -> Script:
        """The toxic at work, from now on, on one direction of one connection."""

    def problem(self) -> str:
        """Why these values cannot be; empty if they can."""
        return ""

    def left_behind(self, memory: dict[str, Any]) -> list[Chunk]:
        """What it keeps in its memory and must hand on when it no longer acts."""
        return []


class ListenerBehaviour(Behaviour):
    """A toxic that meets clients before they are a connection, in whichever stream it was put.

    Attributes:
        closes_listener: nobody listens while it is there.
        fills_backlog: the listening socket answers nobody while it is there.
    """

    closes_listener: ClassVar[bool] = False
    fills_backlog: ClassVar[bool] = False

    def script(self, site: Site) -> Script:
        return passing()

    def on_client(self, sock: socket.socket, memory: dict[str, Any]) -> bool:
        """Deal with a client, and whether it did; the socket is its own then. `memory` is the toxic's."""
        return False

    def release(self, memory: dict[str, Any]) -> None:
        """Close the sockets that it keeps: it is removed, or its proxy stops."""


@dataclass(frozen=True)
class MessageBehaviour(Behaviour):
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


BEHAVIOURS: dict[str, type[Behaviour]] = {}

Kind = TypeVar("Kind", bound=type[Behaviour])


def toxic(kind: str) -> Callable[[Kind], Kind]:
    """Class decorator: make a toxic known under its name in the API."""

    def remember(behaviour: Kind) -> Kind:
        behaviour.kind = kind
        BEHAVIOURS[kind] = behaviour
        return behaviour

    return remember
