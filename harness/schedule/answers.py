"""Whether a moment has come, will come, or never can; and how several answers make one."""

from __future__ import annotations

from dataclasses import dataclass

from harness.scenario.moment import StepMoment
from harness.schedule.progress import CallState


@dataclass(frozen=True)
class Reached:
    """The moment came at that time."""

    time_ns: int


@dataclass(frozen=True)
class Pending:
    """The moment has not come; `wake_ns` says when it will, if that is known already."""

    wake_ns: int | None = None


@dataclass(frozen=True)
class Impossible:
    """The moment can no longer come."""


Answer = Reached | Pending | Impossible


def at(time_ns: int, now_ns: int) -> Answer:
    """Of a moment whose time is known."""
    return Reached(time_ns) if now_ns >= time_ns else Pending(time_ns)


def all_of(answers: list[Answer]) -> Answer:
    """Of several moments that all must come."""
    if any(isinstance(answer, Impossible) for answer in answers):
        return Impossible()
    pending = [answer for answer in answers if isinstance(answer, Pending)]
    if not pending:
        return Reached(max(answer.time_ns for answer in answers if isinstance(answer, Reached)))
    wakes = [answer.wake_ns for answer in pending]
    return Pending(max(wake for wake in wakes if wake is not None)) if None not in wakes else Pending()


def matched_ns(call: CallState | None, states: tuple[str, ...]) -> int | None:
    """When a call was first so; None if it is not."""
    if call is None:
        return None
    if "begun" in states and call.begun_ns is not None:
        return call.begun_ns
    if call.ended_ns is not None and ("ended" in states or call.outcome in states):
        return call.ended_ns
    return None


def counted(times: list[int], open_calls: int, closed_calls: int, moment: StepMoment, now_ns: int) -> Answer:
    """Of a moment of a step: by the times of the calls that are so, and how many may and may not become so."""
    if moment.count is None:
        if closed_calls or not (times or open_calls):
            return Impossible()
        return Pending() if open_calls else at(max(times) + moment.plus_ns, now_ns)
    if len(times) >= moment.count:
        return at(sorted(times)[moment.count - 1] + moment.plus_ns, now_ns)
    return Pending() if len(times) + open_calls >= moment.count else Impossible()
