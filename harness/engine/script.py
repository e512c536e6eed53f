"""The actions of a toxic: receive the next item, wait, or send an item on.

A toxic at work is a generator. It yields an action, is resumed with the answer, and never sees a socket or a clock:

    item = yield RECEIVE              the next chunk, or None: the end (then every time)
    item = yield Receive(limit_ns)    the same, or EXPIRED if nothing arrives in time
    interrupted = yield Wait(ns)      False after that time; True at once if the toxic is changed or removed
    yield Send(item)                  returns when the next stage has taken it
    yield Signal(call)                returns when the call has been made

After an interrupted wait it sends the chunks that it holds, and returns.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Generator
from dataclasses import dataclass
from random import Random
from typing import Any, Protocol, TypeAlias

from harness.engine.chunk import Item


class Expired(enum.Enum):
    """The answer to `Receive` with a limit when nothing arrived."""

    EXPIRED = enum.auto()


EXPIRED = Expired.EXPIRED


@dataclass(frozen=True, slots=True)
class Receive:
    """Receive the next item, for at most this many nanoseconds; None means without limit."""

    limit_ns: int | None = None


@dataclass(frozen=True, slots=True)
class Wait:
    """Wait this many nanoseconds; None means until interrupted."""

    duration_ns: int | None


@dataclass(frozen=True, slots=True)
class Send:
    """Send an item on; the end closes the next stage, and this toxic is done."""

    item: Item


@dataclass(frozen=True, slots=True)
class Signal:
    """Make a call outside of all pipelines, which may change them; go on when it has been made."""

    call: Callable[[], None]


RECEIVE = Receive()
Action: TypeAlias = "Receive | Wait | Send | Signal"
Script: TypeAlias = Generator[Action, Any, None]


class Site(Protocol):
    """What a toxic may use: one direction of one connection."""

    @property
    def time_ns(self) -> int:
        """The time; within a run of waits the time at which each was due, so that timer errors do not add up."""

    @property
    def random(self) -> Random:
        """Its own random numbers, the same for the same seed."""

    @property
    def memory(self) -> dict[str, Any]:
        """State on this connection that outlives changes of the toxic."""

    @property
    def opened_with(self) -> bool:
        """Whether the toxic existed when the connection was opened."""

    def reset_on_close(self) -> None:
        """From now on this connection ends with RST on both sides."""

    def abort(self, reset: bool) -> None:
        """End this connection now, on both sides; bytes under way are lost."""

    def note(self, event: str, **details: Any) -> None:
        """Write into the event log that the toxic did something."""


def passing() -> Script:
    """Pass everything on, as a toxic does on connections that its toxicity spares."""
    while True:
        item: Item = yield RECEIVE
        yield Send(item)
