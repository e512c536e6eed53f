"""Why something never came to pass in a finished run: the call that failed, or the process that ended, before it.

Every function returns a phrase for a sentence that a person reads, and an empty text where the history shows no cause.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable

from harness.history.moments import moment_time
from harness.history.wording import describe_call, describe_end, fault_named
from harness.scenario.moment import AllMoments, FaultMoment, Moment, StepMoment
from harness.scenario.scenario import EXIT, Scenario
from harness.values.history import Call, History
from harness.values.ops import DISMISS
from harness.values.quantity import format_ns

_BROKEN = ("failed", "hung", "died")


def why_never(history: History, scenario: Scenario, moment: Moment) -> str:
    """Why a moment never came."""
    return _Search(history, scenario).moment(moment)


def why_skipped(history: History, scenario: Scenario, call: Call) -> str:
    """Why a call was skipped whose step waited for a moment; empty if its step waited for none."""
    after = None if call.step == EXIT else scenario.step(call.step).after
    if after is None or moment_time(history, scenario, after) is not None:
        return ""
    return why_never(history, scenario, after)


def first_failure(history: History, ranks: Collection[int] = (), before_ns: int | None = None) -> str:
    """The first call that failed, or process that ended other than by a fault or the harness, in time.

    Args:
        ranks: whose calls and processes; empty means all.
        before_ns: only what had ended by then.
    """
    broken = [
        call
        for call in history.calls
        if call.outcome in _BROKEN
        and not _is_ended_on_purpose(history, call)
        and call.ended_ns is not None
        and (before_ns is None or call.ended_ns <= before_ns)
        and (not ranks or call.rank in ranks)
    ]
    first = min(broken, key=lambda call: call.ended_ns or 0, default=None)
    return "" if first is None else describe_failure(history, first)


def describe_failure(history: History, call: Call) -> str:
    """What became of a call or a process, with its error, and with the last line of its log where that is known."""
    end = _end_of_process(history, call.rank, call.life)
    if call.outcome == "died" and end is not None and end.outcome in _BROKEN:
        call = end
    error = call.error.first_line if call.step != EXIT and call.error is not None else ""
    who = describe_call(call).replace(f"'s {EXIT}", "'s process", 1) if call.step == EXIT else describe_call(call)
    said = f"{who} {describe_end(call)}{f': {error}' if error else ''}"
    return said + log_end(history, call, said)


def log_end(history: History, call: Call, said: str = "") -> str:
    """`; its log ends: LINE`, of a call's process; empty if the line is not known, or has been said."""
    end = _end_of_process(history, call.rank, call.life)
    line = None if end is None else end.end_facts.get("log")
    return f"; its log ends: {line}" if isinstance(line, str) and line and line not in said else ""


class _Search:
    """A walk from a moment to what kept it from coming; moments that were looked at are not looked at again."""

    def __init__(self, history: History, scenario: Scenario) -> None:
        self._history = history
        self._scenario = scenario
        self._seen: list[Moment] = []
        over = (op for op in history if op.f == DISMISS and op.process.rank is None)
        last = next(over, history.ops[-1] if len(history) else None)
        self._over_ns = 0 if last is None else last.time_ns

    def moment(self, moment: Moment) -> str:
        time_ns = moment_time(self._history, self._scenario, moment)
        if moment in self._seen or (time_ns is not None and time_ns <= self._over_ns):
            return ""
        self._seen.append(moment)
        if time_ns is not None:
            return self._over()
        if isinstance(moment, AllMoments):
            return _first(self.moment(part) for part in moment.moments)
        if isinstance(moment, FaultMoment):
            return self._fault(moment)
        if isinstance(moment, StepMoment):
            return self._step(moment)
        return self._over()

    def _fault(self, moment: FaultMoment) -> str:
        fault = next(fault for fault in self._scenario.faults if fault.name == moment.fault)
        injection = next((it for it in self._history.injections if it.fault == fault.name), None)
        if injection is None:
            return self.moment(fault.after)
        if injection.injected_ns is None:
            why = f": {injection.failed}" if injection.failed else ""
            return f"the fault {fault_named(fault.name, fault.kind)} was never injected{why}"
        return self.moment(fault.until) if fault.until is not None else ""

    def _step(self, moment: StepMoment) -> str:
        ranks = moment.ranks or self._scenario.ranks_of(moment.step)
        calls = [call for call in self._history.calls_of(moment.step) if call.rank in ranks]
        missed = [call for call in calls if call.life == moment.life and not {call.outcome, "ended"} & {*moment.state}]
        missed.sort(key=lambda call: self._history.window_of(call)[1])
        return _first(map(self._call, missed)) or _first(map(self._rank, ranks)) or self._over()

    def _call(self, call: Call) -> str:
        """Why a call ended otherwise than a moment asks."""
        if call.outcome != "skipped":
            return describe_failure(self._history, call)
        step = None if call.step == EXIT else self._scenario.step(call.step)
        if step is not None and step.after is not None and (why := self.moment(step.after)):
            return why
        return self._rank(call.rank) or f"{describe_call(call)} {describe_end(call)}"

    def _rank(self, rank: int) -> str:
        """Why a rank made no call: its process ended, or it never began."""
        ends = [call for call in self._history.calls_of(EXIT) if call.rank == rank]
        ended = next((call for call in ends if call.outcome in _BROKEN), None)
        if ended is not None:
            return describe_failure(self._history, ended)
        spec = self._scenario.world.ranks[rank] if rank < len(self._scenario.world.ranks) else None
        return self.moment(spec.start) if spec is not None and spec.start is not None else ""

    def _over(self) -> str:
        """Of a time, and of a message: the first failure; without one, the end of the play."""
        failure = first_failure(self._history)
        if failure:
            return failure
        return f"the play was over after {format_ns(self._over_ns - self._history.start_ns)}"


def _first(phrases: Iterable[str]) -> str:
    return next(filter(None, phrases), "")


def _end_of_process(history: History, rank: int, life: int) -> Call | None:
    return next((call for call in history.calls_of(EXIT) if (call.rank, call.life) == (rank, life)), None)


def _is_ended_on_purpose(history: History, call: Call) -> bool:
    """Whether a fault, the harness or a step `exit` ended the process of a call that died, or that is its end."""
    if call.step != EXIT and call.outcome != "died":
        return False
    end = _end_of_process(history, call.rank, call.life)
    if end is None:
        return False
    if end.end_facts.get("by") not in (None, "", "guard"):
        return True
    own = (other for other in history.calls if (other.rank, other.life, other.f) == (call.rank, call.life, EXIT))
    return any(other.step != EXIT and other.invoke is not None for other in own)
