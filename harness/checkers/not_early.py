"""No call says that its time is up before it is."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from harness.checkers.base import CHECKERS, Checker, Finding, unless_stopped
from harness.history.disturbances import Disturbances
from harness.history.time_to_error import says_timed_out
from harness.history.timed_calls import TimedCall, timed_calls
from harness.history.wording import counted, describe_call, outcome_phrase
from harness.scenario.scenario import Scenario
from harness.values.attribute import Declaration
from harness.values.history import Call, History
from harness.values.plan import JOIN
from harness.values.quantity import format_ns
from harness.values.verdict import Verdict

TOLERANCE_NS = 100_000_000
"""Or a tenth of the timeout, if that is more: torch counts in milliseconds, and sleeps in parts of its timeout."""


@CHECKERS.register("not_early")
class NotEarly(Checker):
    """A call that ends early by its own clock: no lateness of anything explains it."""

    declaration = Declaration(
        kind="not_early",
        summary="a call that says that it timed out has lasted for its timeout",
        example="{check: not_early}",
        details=(
            "A call timed out if its error says so: `timed out`, `timeout after`, and the like. It has the timeout of"
            " the check `deadline`, and may end a tenth of it, or 100 ms, too early. Not judged is a call during which"
            " a fault was in place on its rank, a master, the port or a host, or whose master had ended. With"
            " `static-strict` a worker tries to join until its deadline, whatever happens to its connections: there a"
            " `RendezvousConnectionError` counts as a timeout too, and faults excuse nothing."
        ),
    )
    explored = True

    def check(self, scenario: Scenario, history: History, parameters: Mapping[str, Any]) -> Verdict:
        judged = list(_judged(scenario, history))
        if not judged:
            return self.nothing("no undisturbed call timed out")
        findings = [_early(history, one) for one in judged if one.elapsed_ns < one.timeout_ns - _tolerance_ns(one)]
        return self.verdict(findings, f"{counted(len(judged), 'call')} timed out, none before its time")


def _tolerance_ns(timed: TimedCall) -> int:
    return max(TOLERANCE_NS, timed.timeout_ns // 10)


def _judged(scenario: Scenario, history: History) -> Iterator[TimedCall]:
    disturbances = Disturbances(scenario, history)
    for timed in timed_calls(scenario, history):
        call = timed.call
        if timed.timeout_ns <= 0:
            continue
        if disturbances.is_strict and _is_of_worker(call):
            gave_up = says_timed_out(call) or _is_unconnected(call)
            if gave_up and not disturbances.released({call.rank}, timed.window[1]):
                yield timed
        elif says_timed_out(call) and not _is_disturbed(disturbances, timed):
            yield timed


def _is_disturbed(disturbances: Disturbances, timed: TimedCall) -> bool:
    rank, masters = timed.call.rank, disturbances.masters
    return (
        disturbances.hit({rank, *masters}, timed.window)
        or disturbances.gone(masters - {rank}, timed.window[1])
        or disturbances.released({rank, *masters}, timed.window[1])
    )


def _is_of_worker(call: Call) -> bool:
    return call.f == JOIN and call.arguments.get("rank") != 0


def _is_unconnected(call: Call) -> bool:
    return call.error is not None and "RendezvousConnectionError" in (call.error.kind, *call.error.bases)


def _early(history: History, timed: TimedCall) -> Finding:
    happened = f"{outcome_phrase(timed.call)} after {format_ns(timed.elapsed_ns)}"
    said = timed.call.error.first_line if timed.call.error is not None else ""
    because = f"{describe_call(timed.call)} {happened}, before its timeout of {format_ns(timed.timeout_ns)}: {said}"
    return unless_stopped(history, timed.window, because, happened=happened, evidence=timed.call.evidence)
