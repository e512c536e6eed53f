"""What is played: the calls of the ranks, what goes wrong, and the moments at which these begin."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Optional

NEVER = float("inf")
Moment = Callable[[Any], Optional[float]]  # asked with the play: when it came, None while it has not, or NEVER


@dataclass(frozen=True)
class Join:
    """Build the rank's handler of this name if there is none, and call its next_rendezvous()."""

    handler: str = "main"

    def __call__(self, rank: Any) -> Any:
        return rank.join(self.handler)


@dataclass(frozen=True)
class Step:
    """A call that each of these ranks makes, when its call above has ended and the moment `after` has come."""

    name: str
    ranks: tuple[int, ...]
    call: Callable[[Any], Any]
    after: Moment | None = None
    thread: str = "main"
    life: int | None = None  # only in the rank's first, second, ... process
    times: int = 1


@dataclass(frozen=True)
class Scene:
    """All of it; times are in seconds."""

    size: int  # how many processes
    handler: dict[str, Any]  # how each handler is made; its rank is the number of the process
    steps: list[Step]
    expect: dict[str, Callable[[Any], str]]  # by claim, what is not as it should be
    found: tuple[str, ...]  # the claims that are broken; empty if any may be
    guard: float  # a call that takes longer hangs, and its process is ended
    faults: list[Any] = field(default_factory=list)
    handlers: dict[tuple[int, str], dict[str, Any]] = field(default_factory=dict)  # by process and name, what differs
    start: dict[int, Moment | None] = field(default_factory=dict)  # processes that come late, or never (None)
    env: dict[int, dict[str, str]] = field(default_factory=dict)
    links: Callable[[Any], dict[int, Any]] = lambda play: {}  # by process, its proxy in front of the master
    lives: dict[int, int] = field(default_factory=dict)  # how many processes a rank has, one after another

    def configuration(self, rank: int, handler: str) -> dict[str, Any]:
        return {"rank": rank, **self.handler, **self.handlers.get((rank, handler), {})}


def seconds(offset: float) -> Moment:
    """So long after the start."""
    return lambda play: play.started + offset


def when_step(
    name: str, *states: str, ranks: tuple[int, ...] = (), life: int = 1, count: int | None = None, plus: float = 0.0
) -> Moment:
    """When all calls of a step (or `count` of them) are so: begun, ended, ok, failed, died or skipped."""

    def came(play: Any) -> float | None:
        calls = play.calls_of(name, *ranks, life=life)
        times: list[float] = sorted(time for call in calls if (time := call.became(states)) is not None)
        wanted = len(calls) if count is None else count
        if len(times) >= wanted:
            return times[wanted - 1] + plus
        may_come = sum(call.ended is None for call in calls if call.became(states) is None)
        return None if len(times) + may_come >= wanted else NEVER

    return came


def when_fault(name: str, state: str = "injected", plus: float = 0.0) -> Moment:
    """When a fault is injected, or healed."""

    def came(play: Any) -> float | None:
        (time,) = (getattr(fault, state) for fault in play.scene.faults if fault.name == name)
        return None if time is None else float(time) + plus

    return came


def when_all(*moments: Moment) -> Moment:
    """When the last of these has come."""

    def came(play: Any) -> float | None:
        times = [moment(play) for moment in moments]
        known = [time for time in times if time is not None]
        return max(known) if NEVER in known or len(known) == len(times) else None

    return came
