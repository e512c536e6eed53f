"""When a moment came in a finished history."""

from __future__ import annotations

from collections.abc import Mapping

from harness.history.lateness import lateness
from harness.scenario.moment import AllMoments, FaultMoment, Moment, SeenMoment, StepMoment, TimeMoment, WireMoment
from harness.scenario.scenario import EXIT, Scenario
from harness.values.history import Call, History
from harness.values.ops import SEEN, WIRE, Op
from harness.values.stall import CONTROLLER

_WRITTEN_WITHIN_NS = 1_000_000_000
"""Of a message that has passed: only waits of the second before its record can have made that late."""


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
    if isinstance(moment, WireMoment):
        return _wire_time(history, moment)
    seen = _sighting(history, moment)
    return None if seen is None else seen.time_ns + moment.plus_ns


def came_within_ns(history: History, moment: Moment | None) -> int:
    """How long before `moment_time` the moment may really have come, in nanoseconds.

    A fault comes into force somewhere between its injection's begin and the proof that it is in place (a killed process
    cuts its connections some milliseconds before it is seen to be gone). What is seen of a job came between two looks.
    Everything else has one time.
    """
    if isinstance(moment, SeenMoment):
        seen = _sighting(history, moment)
        before_ns = seen.value.get("before_ns") if seen is not None else None
        return max(0, seen.time_ns - before_ns) if seen is not None and isinstance(before_ns, int) else 0
    if not isinstance(moment, FaultMoment):
        return 0
    for injection in history.injections:
        if injection.fault == moment.fault:
            injected = moment.state == "injected"
            first, last = (injection.tried_ns if injected else injection.healing_ns), _fault_time(history, moment)
            return 0 if first is None or last is None else max(0, last - moment.plus_ns - first)
    return 0


def recorded_late_within_ns(history: History, scenario: Scenario, moment: Moment) -> int:
    """How late a moment may have been recorded because its process was late itself, in nanoseconds.

    A call's begin is written before it begins, and a time of the clock is nobody's record: neither is ever late. A
    call's end is written by its rank after it has ended, and a message by the proxy server after it has passed. What a
    fault did before its injection was recorded is known, and so is the look before the one that saw something of a job:
    `came_within_ns`.
    """
    if isinstance(moment, AllMoments):
        last_ns = moment_time(history, scenario, moment)
        latest = [part for part in moment.moments if moment_time(history, scenario, part) == last_ns]
        return max((recorded_late_within_ns(history, scenario, part) for part in latest), default=0)
    time_ns = moment_time(history, scenario, moment)
    if time_ns is None:
        return 0
    if isinstance(moment, WireMoment):
        passed_ns = time_ns - moment.plus_ns
        return lateness(history, (passed_ns - _WRITTEN_WITHIN_NS, passed_ns)).total_ns
    if isinstance(moment, StepMoment):
        ends = [call for call in history.calls_of(moment.step) if call.ended_ns == time_ns - moment.plus_ns]
        return max((_written_late_ns(history, call) for call in ends), default=0)
    return 0


def _written_late_ns(history: History, call: Call) -> int:
    """How late the end of a call may have been written: by its rank, or by the controller that saw its process end."""
    by_rank = call.outcome in ("ok", "failed") and call.step != EXIT
    return lateness(history, history.window_of(call)).of(f"rank {call.rank}" if by_rank else CONTROLLER)


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


def _sighting(history: History, moment: SeenMoment) -> Op | None:
    """The record of what a moment waits for, with a mapping as its value."""
    wanted = moment.to_json()
    records = (op for op in history.ops if op.f == SEEN and op.process.rank is None and isinstance(op.value, Mapping))
    return next((op for op in records if {key: op.value.get(key) for key in wanted} == wanted), None)


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
