"""What a toxic promises: attributes with defaults, and a script for one direction of one connection."""

from __future__ import annotations

import socket
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, TypeVar

from harness.engine.chunk import Chunk
from harness.engine.script import Script, Site, passing

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


class DoorBehaviour(Behaviour):
    """A toxic that meets clients before they are a connection, in whichever stream it was put.

    Attributes:
        shuts: nobody listens while it is there.
        fills_backlog: the listening socket answers nobody while it is there.
    """

    shuts: ClassVar[bool] = False
    fills_backlog: ClassVar[bool] = False

    def script(self, site: Site) -> Script:
        return passing()

    def meets(self, sock: socket.socket, memory: dict[str, Any]) -> bool:
        """Deal with a client, and whether it did; the socket is its own then. `memory` is the toxic's."""
        return False

    def leaves(self, memory: dict[str, Any]) -> None:
        """Let go of what it keeps: it is taken away, or its proxy stops."""


BEHAVIOURS: dict[str, type[Behaviour]] = {}

Kind = TypeVar("Kind", bound=type[Behaviour])


def toxic(kind: str) -> Callable[[Kind], Kind]:
    """Class decorator: make a toxic known under its name in the API."""

    def remember(behaviour: Kind) -> Kind:
        behaviour.kind = kind
        BEHAVIOURS[kind] = behaviour
        return behaviour

    return remember
