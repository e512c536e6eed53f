"""Every call ends by itself: no guard had to end a process."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from harness.checkers.base import CHECKERS, Checker, Finding, unless_stalled
from harness.history.wording import counted, describe_call, stacks_of
from harness.scenario.scenario import EXIT, Scenario
from harness.values.attribute import Declaration
from harness.values.history import Call, History
from harness.values.quantity import format_ns
from harness.values.verdict import Verdict


@CHECKERS.register("no_hang")
class NoHang(Checker):
    """Liveness, as far as a guard can tell."""

    declaration = Declaration(
        kind="no_hang",
        summary="every call ends within its guard",
        example="{check: no_hang}",
        details="The guard is `world.guard`. The stacks of a process that it ended are in the run directory.",
    )
    standing = True

    def check(self, scenario: Scenario, history: History, parameters: Mapping[str, Any]) -> Verdict:
        calls = history.calls
        if not calls:
            return self.nothing("no call was made")
        return self.verdict(
            [_finding(history, call) for call in _hung(calls)], f"{counted(len(calls), 'call')}, none hung"
        )


def _hung(calls: tuple[Call, ...]) -> Iterator[Call]:
    """The calls that hung, and the ends of processes that hung between their calls."""
    seen = set()
    for call in calls:
        if call.outcome in ("hung", "running"):
            seen.add((call.rank, call.life))
            yield call
    for call in calls:
        if call.step == EXIT and (call.rank, call.life) not in seen and _by_guard(call):
            yield call


def _by_guard(call: Call) -> bool:
    return call.end_facts.get("by") == "guard"


def _finding(history: History, call: Call) -> Finding:
    stacks = stacks_of(history, call)
    lasted = "" if call.elapsed_ns is None else f" after {format_ns(call.elapsed_ns)}"
    where = f"; stacks: {stacks}" if stacks else ""
    because = f"{describe_call(call)} hung: its guard ended it{lasted}{where}"
    window = history.window_of(call)
    return unless_stalled(history, window, because, happened=f"hung{lasted}", evidence=call.evidence)
