"""Every call that has a timeout ends within it plus a slack."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from harness.checkers.base import CHECKERS, Checker, Finding, late
from harness.history.disturbances import Disturbances
from harness.history.timed_calls import TimedCall, timed_calls
from harness.history.wording import counted, describe_call, outcome_phrase, with_stacks
from harness.scenario.scenario import Scenario
from harness.values.attribute import Attribute, Declaration
from harness.values.history import History
from harness.values.json import whole
from harness.values.quantity import SLACK_NS, format_ns
from harness.values.verdict import Verdict


@CHECKERS.register("deadline")
class Deadline(Checker):
    """Judged by the caller's clock, without the time for which a fault paused the caller."""

    declaration = Declaration(
        kind="deadline",
        summary="every call that has a timeout ends within it plus the slack",
        attributes=(
            Attribute("slack", "duration", "beyond the timeout", SLACK_NS, f"{SLACK_NS // 10**9}s", minimum=0),
        ),
        example="{check: deadline, slack: 500ms}",
        details=(
            "A join has its handler's timeout, a store call its store's (the handler's, unless `wait` is given one of"
            " its own). A call that died with its process is not judged. Time for which a fault paused the process does"
            " not count. The default slack is the `slack` of durations."
        ),
    )
    explored = True

    def explore(self, scenario: Scenario, history: History) -> Verdict:
        """Without timeouts that are none, which a join refuses, and without a documented limit of static-strict.

        That is F11: look-ups that torch makes, and nothing bounds.
        """
        disturbances = Disturbances(scenario, history)
        if disturbances.is_strict and disturbances.delays_lookups:
            return self.nothing("look-ups were slow, and torch's own have no deadline")
        return self._judged(history, [one for one in timed_calls(scenario, history) if one.timeout_ns > 0])

    def check(self, scenario: Scenario, history: History, parameters: Mapping[str, Any]) -> Verdict:
        slack_ns = whole(parameters.get("slack"))
        return self._judged(history, list(timed_calls(scenario, history, SLACK_NS if slack_ns is None else slack_ns)))

    def _judged(self, history: History, timed: Sequence[TimedCall]) -> Verdict:
        if not timed:
            return self.nothing("no call with a timeout ended")
        findings = [_overrun(history, one) for one in timed if one.elapsed_ns > one.bound_ns]
        return self.verdict(findings, f"{counted(len(timed), 'call')} ended in time")


def _overrun(history: History, timed: TimedCall) -> Finding:
    happened = f"{outcome_phrase(timed.call)} after {format_ns(timed.elapsed_ns)}"
    allowed = f"allowed {format_ns(timed.timeout_ns)} and a slack of {format_ns(timed.slack_ns)}"
    because = with_stacks(history, timed.call, f"{describe_call(timed.call)} {happened}, {allowed}")
    missed_ns = timed.elapsed_ns - timed.bound_ns
    return late(history, timed.call, timed.window, missed_ns, because, happened=happened, evidence=timed.call.evidence)
