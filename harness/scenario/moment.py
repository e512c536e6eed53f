"""Moments: when something may begin, in terms of what has happened."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any


@dataclass(frozen=True)
class TimeMoment:
    """A time after the clock started."""

    offset_ns: int

    def __str__(self) -> str:
        return f"{self.offset_ns / 1e9:g}s"


@dataclass(frozen=True)
class StepMoment:
    """The `count`-th call (default: all) of a step in a state, plus a duration.

    Attributes:
        step: the unique name of the step; `exit` is the unwritten last one.
        ranks: the ranks whose calls count; empty means every rank that the step names.
        life: the rank's life, counted from 1.
        state: `begun`, `ended`, `ok`, `failed`, `died` or `skipped`; or several, of which any will do.
        count: the number of that call, from 1; None means that every call must be in the state.
        plus_ns: added to the time of that call.
    """

    step: str
    ranks: tuple[int, ...] = ()
    life: int = 1
    state: tuple[str, ...] = ("ended",)
    count: int | None = None
    plus_ns: int = 0

    def __str__(self) -> str:
        ranks = f" of rank {', '.join(map(str, self.ranks))}" if self.ranks else ""
        plus = f" + {self.plus_ns / 1e9:g}s" if self.plus_ns else ""
        count = "" if self.count is None else f" (call {self.count})"
        return f"{self.step}{ranks} {' or '.join(self.state)}{count}{plus}"


@dataclass(frozen=True)
class FaultMoment:
    """A fault is `injected` or `healed`, plus a duration."""

    fault: str
    state: str = "injected"
    plus_ns: int = 0

    def __str__(self) -> str:
        plus = f" + {self.plus_ns / 1e9:g}s" if self.plus_ns else ""
        return f"{self.fault} {self.state}{plus}"


DIRECTIONS = ("query", "reply")
"""Of messages: to the master, and back."""


@dataclass(frozen=True)
class WireMoment:
    """The `count`-th message of a kind that passes the embedded engine, plus a duration.

    Attributes:
        direction: `query` (to the master) or `reply`.
        kind: of the message, as the engine calls it; `*` is any.
        ranks: the ranks whose links count, counted together; empty means every link.
        key: a pattern, with or without the `/` that torch puts before every key; None means any.
    """

    direction: str
    kind: str
    ranks: tuple[int, ...] = ()
    key: str | None = None
    count: int = 1
    plus_ns: int = 0

    def __str__(self) -> str:
        key = "" if self.key is None else f" of {self.key}"
        ranks = f" of rank {', '.join(map(str, self.ranks))}" if self.ranks else ""
        plus = f" + {self.plus_ns / 1e9:g}s" if self.plus_ns else ""
        return f"{self.direction} {self.kind}{key} number {self.count} on the wire{ranks}{plus}"

    @property
    def message(self) -> WireMoment:
        """The message itself, without the duration after it."""
        return replace(self, plus_ns=0)

    def to_json(self) -> dict[str, Any]:
        """How a history records the message."""
        key = {} if self.key is None else {"key": self.key}
        return {self.direction: self.kind, **key, "ranks": list(self.ranks), "count": self.count}

    @classmethod
    def from_json(cls, row: Mapping[str, Any]) -> WireMoment:
        """The message that `to_json` described; raises KeyError or StopIteration for anything else."""
        direction = next(name for name in DIRECTIONS if name in row)
        return cls(direction, row[direction], tuple(row["ranks"]), row.get("key"), row["count"])


SIGHTINGS = ("log", "file", "port")
"""What of a job can be seen from outside: a line of a log, a file that appears, a port at which somebody listens."""


@dataclass(frozen=True)
class SeenMoment:
    """Something of a job is seen from outside, plus a duration.

    Attributes:
        kind: one of `SIGHTINGS`.
        what: a text that a line contains, a path (`{run_dir}` not yet filled in), or the number of a port.
        ranks: of a log: the ranks whose lines count, counted together; empty means every rank.
        count: of a log: the number of that line, from 1.
    """

    kind: str
    what: str
    ranks: tuple[int, ...] = ()
    count: int = 1
    plus_ns: int = 0

    def __str__(self) -> str:
        plus = f" + {self.plus_ns / 1e9:g}s" if self.plus_ns else ""
        if self.kind != "log":
            return f"{self.kind} {self.what} {'appeared' if self.kind == 'file' else 'listened at'}{plus}"
        ranks = f" of rank {', '.join(map(str, self.ranks))}" if self.ranks else ""
        return f"line {self.count} with {self.what!r} in the log{ranks}{plus}"

    @property
    def sight(self) -> SeenMoment:
        """What is seen itself, without the duration after it."""
        return replace(self, plus_ns=0)

    def to_json(self) -> dict[str, Any]:
        """How a history records what was seen."""
        return {self.kind: self.what, "ranks": list(self.ranks), "count": self.count}

    @classmethod
    def from_json(cls, row: Mapping[str, Any]) -> SeenMoment:
        """What `to_json` described; raises KeyError or StopIteration for anything else."""
        kind = next(name for name in SIGHTINGS if name in row)
        return cls(kind, row[kind], tuple(row["ranks"]), row["count"])


@dataclass(frozen=True)
class AllMoments:
    """All of these have come; the time is the latest of them."""

    moments: tuple[Moment, ...]

    def __str__(self) -> str:
        return " and ".join(map(str, self.moments))


Moment = TimeMoment | StepMoment | FaultMoment | WireMoment | SeenMoment | AllMoments
START = TimeMoment(0)


def parts(moment: Moment) -> tuple[Moment, ...]:
    """The moment's simple parts: itself, or those of an `AllMoments`, flattened."""
    if isinstance(moment, AllMoments):
        return tuple(part for inner in moment.moments for part in parts(inner))
    return (moment,)
