"""What a toxic may ask for while it works: the next item, a while, or to hand something on.

A toxic at work is a generator. It yields one of these, is resumed with the answer, and never sees a socket or a clock:

    item = yield RECEIVE              the next chunk, or None: the end (again and again, once it has come)
    item = yield Receive(limit_ns)    the same, or EXPIRED if nothing comes in time
    interrupted = yield Wait(ns)      False after that long; True at once if the toxic is changed or taken away
    yield Send(item)                  when whatever comes behind has room
    yield Signal(call)                when that has been done

After an interrupted wait it hands on what it has in its hands, and returns.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Generator
from dataclasses import dataclass
from random import Random
from typing import Any, Protocol, TypeAlias

from harness.engine.chunk import Item


class Expired(enum.Enum):
    """What `Receive` with a limit answers when nothing came."""

    EXPIRED = enum.auto()


EXPIRED = Expired.EXPIRED


@dataclass(frozen=True, slots=True)
class Receive:
    """Ask for the next item, for at most so many nanoseconds; None means without limit."""

    limit_ns: int | None = None


@dataclass(frozen=True, slots=True)
class Wait:
    """Ask to be left alone for so many nanoseconds; None means until interrupted."""

    duration_ns: int | None


@dataclass(frozen=True, slots=True)
class Send:
    """Hand an item on; the end closes whatever comes behind, and this toxic is done."""

    item: Item


@dataclass(frozen=True, slots=True)
class Signal:
    """Ask for something to be done outside of all pipelines, so that it may change them; goes on when it is done."""

    call: Callable[[], None]


RECEIVE = Receive()
Action: TypeAlias = "Receive | Wait | Send | Signal"
Script: TypeAlias = Generator[Action, Any, None]


class Site(Protocol):
    """Where a toxic works: one direction of one connection."""

    @property
    def time_ns(self) -> int:
        """Now; within a run of waits the moment each was due, so that errors of timers do not add up."""

    @property
    def random(self) -> Random:
        """Its own source of chance, the same for the same seed."""

    @property
    def memory(self) -> dict[str, Any]:
        """What outlives changes of the toxic on this connection."""

    @property
    def opened_with(self) -> bool:
        """Whether the toxic was there when the connection was opened."""

    def reset_on_close(self) -> None:
        """From now on this connection ends with RST on both sides."""

    def abort(self, reset: bool) -> None:
        """End this connection now, on both sides; what is under way is lost."""

    def note(self, event: str, **details: Any) -> None:
        """Write into the event log that the toxic did something."""


def passing() -> Script:
    """Hand everything on: what a toxic does on connections that its toxicity spares."""
    while True:
        item: Item = yield RECEIVE
        yield Send(item)
