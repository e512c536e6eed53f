"""How long a play can take: what its file says, and every guard, one after another."""

from __future__ import annotations

from harness.scenario.moment import AllMoments, FaultMoment, Moment, SeenMoment, StepMoment, TimeMoment, WireMoment
from harness.scenario.scenario import Scenario
from harness.schedule import torchrun


def longest_ns(scenario: Scenario) -> int:
    """An upper bound for a play by its own times: every guard and every duration, one after another."""
    guard_ns = max((rank.guard_ns for rank in scenario.world.ranks), default=0)
    total = 2 * guard_ns
    for step in scenario.steps:
        total += step.times * guard_ns + int(step.arguments.get("for") or 0)
        total += _longest(step.after)
    for fault in scenario.faults:
        total += _longest(fault.after) + _longest(fault.until)
    for rank in scenario.world.ranks:
        total += _longest(rank.start)
    return total if scenario.world.torchrun is None else total + _attempts_ns(scenario, total)


def _attempts_ns(scenario: Scenario, attempt_ns: int) -> int:
    """What workers of torchrun agents add: each of them starts an interpreter, and each but the first starts over."""
    more = torchrun.max_restarts(scenario)
    return more * attempt_ns + (more + 1) * scenario.world.size * torchrun.WORKER_START_NS


def _longest(moment: Moment | None) -> int:
    if isinstance(moment, TimeMoment):
        return moment.offset_ns
    if isinstance(moment, AllMoments):
        return sum(_longest(part) for part in moment.moments)
    return moment.plus_ns if isinstance(moment, StepMoment | FaultMoment | WireMoment | SeenMoment) else 0
