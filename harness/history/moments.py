"""When a moment came in a finished history."""

from __future__ import annotations

from harness.scenario.moment import AllMoments, FaultMoment, Moment, StepMoment, TimeMoment, WireMoment
from harness.scenario.scenario import EXIT, Scenario
from harness.values.history import Call, History
from harness.values.ops import WIRE


def moment_time(history: History, scenario: Scenario, moment: Moment) -> int | None:
    """The monotonic nanosecond at which a moment came; None if it never did.

    Raises KeyError for a step that the scenario does not have.
    """
    if isinstance(moment, TimeMoment):
        return history.start_ns + moment.offset_ns
    if isinstance(moment, StepMoment):
        return _step_time(history, scenario, moment)
    if isinstance(moment, FaultMoment):
        return _fault_time(history, moment)
    if isinstance(moment, AllMoments):
        return _latest([moment_time(history, scenario, part) for part in moment.moments])
    return _wire_time(history, moment)


def came_within_ns(history: History, moment: Moment | None) -> int:
    """How long before `moment_time` the moment may really have come, in nanoseconds.

    A fault comes into force somewhere between its injection's begin and the proof that it is in place (a killed process
    cuts its connections some milliseconds before it is seen to be gone); everything else has one time.
    """
    if not isinstance(moment, FaultMoment):
        return 0
    for injection in history.injections:
        if injection.fault == moment.fault:
            injected = moment.state == "injected"
            first, last = (injection.tried_ns if injected else injection.healing_ns), _fault_time(history, moment)
            return 0 if first is None or last is None else max(0, last - moment.plus_ns - first)
    return 0


def _latest(times: list[int | None]) -> int | None:
    come = [time for time in times if time is not None]
    return max(come) if come and len(come) == len(times) else None


def _fault_time(history: History, moment: FaultMoment) -> int | None:
    for injection in history.injections:
        if injection.fault == moment.fault:
            time = injection.injected_ns if moment.state == "injected" else injection.healed_ns
            return None if time is None else time + moment.plus_ns
    return None


def _wire_time(history: History, moment: WireMoment) -> int | None:
    message = moment.to_json()
    passed = (op for op in history.ops if op.f == WIRE and op.process.rank is None)
    return next((op.time_ns + moment.plus_ns for op in passed if op.value == message), None)


def _step_time(history: History, scenario: Scenario, moment: StepMoment) -> int | None:
    step = scenario.step(moment.step)
    ranks = moment.ranks or scenario.ranks_of(moment.step)
    # A step that exists in one life only can be meant in no other.
    life = moment.life if step.life is None or moment.step == EXIT else step.life
    calls = [call for call in history.calls_of(moment.step) if call.rank in ranks and call.life == life]
    times = sorted(time for call in calls if (time := _time_in_state(call, moment.state)) is not None)
    wanted = len(ranks) * step.times if moment.count is None else moment.count
    return times[wanted - 1] + moment.plus_ns if 0 < wanted <= len(times) else None


def _time_in_state(call: Call, states: tuple[str, ...]) -> int | None:
    if "begun" in states and call.begun_ns is not None:
        return call.begun_ns
    return call.ended_ns if call.outcome in states or "ended" in states else None
