"""A process that waits does not use a processor meanwhile."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from harness.checkers.base import CHECKERS, Checker, Finding
from harness.history.joins import handler_config
from harness.history.keys import AWAITING
from harness.history.wording import counted, describe_call, outcome_phrase
from harness.scenario.scenario import Scenario
from harness.values.attribute import Declaration
from harness.values.history import Call, History
from harness.values.plan import JOIN
from harness.values.quantity import format_ns
from harness.values.verdict import Verdict

_WAITING = (JOIN, *AWAITING)
SHORTEST_NS = 500_000_000
"""A shorter call may be work all through: a rank that was forked copies its memory in its first calls."""
SERVES_FROM = 100
"""Calls of others in a second, from which on the processor time of a master may be that of the store that it serves."""
PART_OF_FREE_TIME, PART_OF_ALL = 0.5, 0.2
"""Measured with torch 2.15, both subjects, 153 calls of this length on a busy machine: at most 0.05 of their time."""


@CHECKERS.register("idle_wait")
class IdleWait(Checker):
    """Judged by the processor time that the process itself used, so a busy machine makes nothing look worse."""

    declaration = Declaration(
        kind="idle_wait",
        summary="a process whose calls wait does not use a processor meanwhile",
        example="{check: idle_wait}",
        details=(
            f"Joins and waiting store calls that lasted {format_ns(SHORTEST_NS)} at least, while no other thread of the"
            f" process made a call. Calls of a process that was given rank 0 are not judged while the others make"
            f" {SERVES_FROM} calls a second or more: it serves the store. A finding is a process that used a processor"
            f" for {PART_OF_ALL:.0%} of that time or more, and for {PART_OF_FREE_TIME:.0%} of the time for which it did"
            " not wait for one. Torch's own waits use less than 5%."
        ),
    )
    standing = True

    def check(self, scenario: Scenario, history: History, parameters: Mapping[str, Any]) -> Verdict:
        by_process: dict[tuple[int, int], list[Call]] = defaultdict(list)
        for call in history.calls:
            by_process[call.rank, call.life].append(call)
        judged = [
            call
            for calls in by_process.values()
            for call in calls
            if _is_long_wait(call) and _is_alone(call, calls) and not _may_serve(scenario, call, history.calls)
        ]
        if not judged:
            return self.nothing(f"no call that waits lasted {format_ns(SHORTEST_NS)}")
        findings = [_finding(call) for call in judged if _burns(call)]
        return self.verdict(findings, f"{counted(len(judged), 'call')} waited without using a processor")


def _is_long_wait(call: Call) -> bool:
    return call.f in _WAITING and call.cpu_ns is not None and (call.elapsed_ns or 0) >= SHORTEST_NS


def _is_alone(call: Call, calls: list[Call]) -> bool:
    """Whether no other thread of the process made a call meanwhile: the processor time is that of all threads."""
    begun_ns, ended_ns = call.begun_ns or 0, call.ended_ns or 0
    return not any(
        other.thread != call.thread
        and other.begun_ns is not None
        and other.begun_ns < ended_ns
        and (other.ended_ns is None or other.ended_ns > begun_ns)
        for other in calls
    )


def _may_serve(scenario: Scenario, call: Call, everybody: Sequence[Call]) -> bool:
    """Whether the call's process may have answered many calls of other processes meanwhile."""
    config = handler_config(scenario, call)
    if config is not None and config.rank != 0:
        return False
    begun_ns, ended_ns = call.begun_ns or 0, call.ended_ns or 0
    others = sum(
        other.rank != call.rank and other.ended_ns is not None and begun_ns < other.ended_ns <= ended_ns
        for other in everybody
    )
    return others * 1_000_000_000 >= SERVES_FROM * (ended_ns - begun_ns)


def _burns(call: Call) -> bool:
    used_ns, elapsed_ns = call.cpu_ns or 0, call.elapsed_ns or 0
    free_ns = max(0, elapsed_ns - (call.end.lag_ns if call.end is not None else 0))
    return used_ns >= PART_OF_ALL * elapsed_ns and used_ns >= PART_OF_FREE_TIME * free_ns


def _finding(call: Call) -> Finding:
    used, lasted = format_ns(call.cpu_ns or 0), format_ns(call.elapsed_ns or 0)
    happened = f"used a processor for {used} of {lasted}"
    return Finding(f"{describe_call(call)} {outcome_phrase(call)}, and its process {happened}", happened, call.evidence)
