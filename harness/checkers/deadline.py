"""Every call that has a timeout ends within it plus a slack."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from harness.checkers.base import CHECKERS, Checker, Finding, late
from harness.history.timeouts import asked_ns
from harness.history.wording import counted, describe_call, outcome_phrase, with_stacks
from harness.scenario.scenario import Scenario
from harness.values.attribute import Attribute, Declaration
from harness.values.history import Call, History
from harness.values.json import whole
from harness.values.quantity import format_ns
from harness.values.verdict import Verdict

_DEFAULT_SLACK_NS = 1_000_000_000


@CHECKERS.register("deadline")
class Deadline(Checker):
    """Judged by the caller's clock, without the time for which a fault paused the caller."""

    declaration = Declaration(
        kind="deadline",
        summary="every call that has a timeout ends within it plus the slack",
        attributes=(Attribute("slack", "duration", "beyond the timeout", _DEFAULT_SLACK_NS, "1s", minimum=0),),
        example="{check: deadline, slack: 500ms}",
        details=(
            "A join has its handler's timeout, a store call its store's (the handler's, unless `wait` is given one of"
            " its own). A call that died with its process is not judged. Time for which a fault paused the process does"
            " not count."
        ),
    )

    def check(self, scenario: Scenario, history: History, parameters: Mapping[str, Any]) -> Verdict:
        slack_ns = whole(parameters.get("slack"))
        slack_ns = _DEFAULT_SLACK_NS if slack_ns is None else slack_ns
        timed = [
            (call, timeout_ns)
            for call in history.calls
            if call.outcome in ("ok", "failed", "hung") and (timeout_ns := asked_ns(scenario, call)) is not None
        ]
        if not timed:
            return self.nothing("no call with a timeout ended")
        suspending = frozenset(fault.name for fault in scenario.faults if fault.suspends_ranks)
        findings = [
            finding
            for call, timeout_ns in timed
            for finding in _overrun(history, call, timeout_ns, slack_ns, suspending)
        ]
        return self.verdict(findings, f"{counted(len(timed), 'call')} ended in time")


def _overrun(
    history: History, call: Call, timeout_ns: int, slack_ns: int, suspending: frozenset[str]
) -> Iterator[Finding]:
    if call.begun_ns is None or call.ended_ns is None:
        return
    suspended_ns = _suspended_ns(history, call.rank, call.begun_ns, call.ended_ns, suspending)
    lasted_ns = call.ended_ns - call.begun_ns - suspended_ns
    missed_ns = lasted_ns - timeout_ns - slack_ns
    if missed_ns <= 0:
        return
    happened = f"{outcome_phrase(call)} after {format_ns(lasted_ns)}"
    allowed = f"allowed {format_ns(timeout_ns)} and a slack of {format_ns(slack_ns)}"
    yield late(
        history,
        (call.begun_ns, call.ended_ns),
        missed_ns,
        with_stacks(history, call, f"{describe_call(call)} {happened}, {allowed}"),
        happened=happened,
        evidence=call.evidence,
    )


def _suspended_ns(history: History, rank: int, from_ns: int, to_ns: int, suspending: frozenset[str]) -> int:
    """For how long these faults suspended a rank between two moments."""
    total = 0
    for fault in history.injections:
        if fault.fault in suspending and rank in fault.ranks and fault.injected_ns is not None:
            until_ns = to_ns if fault.healed_ns is None else fault.healed_ns
            total += max(0, min(to_ns, until_ns) - max(from_ns, fault.injected_ns))
    return total
