"""Recorded plays are decided again, from their operations alone."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.archive import read_ops
from harness.loader import load_text
from harness.scenario.moment import START
from harness.scenario.scenario import Scenario
from harness.schedule.progress import FoldedProgress
from harness.schedule.schedule import Decisions, Schedule, lives_of
from harness.values.history import History
from harness.values.ops import DISMISS, GATE, INVOKE, NEVER_START, RELEASE, Op

RECORDED = Path(__file__).parent / "recorded"
NAMES = sorted(path.stem for path in RECORDED.glob("*.jsonl"))
"""Recorded with static-strict, torch 2.15.0 and a real toxiproxy-server or the embedded engine."""


def scenario(name: str) -> Scenario:
    (cell,) = load_text((RECORDED / f"{name}.yaml").read_text(), Path(f"{name}.rdzv.yaml"))
    return cell


def history(name: str) -> History:
    return History.of(read_ops(RECORDED / f"{name}.jsonl"))


def replayed(name: str) -> Iterator[tuple[Op, Decisions]]:
    """Each operation after the start, with what the schedule decided just before it."""
    cell = scenario(name)
    schedule, progress = Schedule(cell), FoldedProgress(lives_of(cell))
    for op in history(name):
        if progress.start_ns:
            yield op, schedule.decide(progress, op.time_ns)
        progress.fold(op)


def is_decided(op: Op, decisions: Decisions, restarted: set[int]) -> bool:
    """Whether the schedule asked for what this operation did."""
    if op.f == RELEASE:
        return set(op.value["ranks"]) <= {*decisions.begin, *restarted}
    if op.f == GATE:
        skipped = [gate[:3] for gate in decisions.skip]
        return all(tuple(gate) in decisions.go for gate in op.value["go"]) and all(
            tuple(gate) in skipped for gate in op.value["skip"]
        )
    if op.f in ("inject", "heal"):
        return op.step in (decisions.inject if op.f == "inject" else decisions.heal)
    return op.value["rank"] in decisions.never_start


@pytest.mark.parametrize("name", NAMES)
def test_the_schedule_decides_again_what_was_done(name: str) -> None:
    """Every release, gate, injection and healing follows from the operations before it alone."""
    cell, checked, over = scenario(name), 0, False
    restarted: set[int] = set()
    for op, decisions in replayed(name):
        if op.f == DISMISS:
            assert decisions.over
            over = True
        if op.f == "heal" and op.type == INVOKE:
            restarted = set(next(fault.ranks for fault in cell.faults if fault.name == op.step))
        is_ours = op.f in (RELEASE, GATE, NEVER_START) or (op.f in ("inject", "heal") and op.type == INVOKE)
        if is_ours and not over:
            assert is_decided(op, decisions, restarted), (op, decisions)
            checked += 1
    assert over
    late = [fault for fault in cell.faults if fault.after != START]
    assert checked > len(late)


@pytest.mark.parametrize("name", NAMES)
def test_the_play_was_not_over_before(name: str) -> None:
    """While a call runs or a step can begin, the schedule says so."""
    (end_ns,) = (op.time_ns for op in history(name) if op.f == DISMISS)
    last_ns = max(call.ended_ns or 0 for call in history(name).calls if call.step != "exit" and call.ended_ns)
    before = min(end_ns, last_ns)
    assert not any(decisions.over for op, decisions in replayed(name) if op.time_ns < before)


def test_without_what_it_rests_on_a_decision_is_not_made() -> None:
    """Without the calls of a recorded play its gates stay closed."""
    cell = scenario("message-moment")
    schedule, progress = Schedule(cell), FoldedProgress(lives_of(cell))
    for op in history("message-moment"):
        if op.process.rank is None and op.f != "wire":
            progress.fold(op)
        if op.f == GATE:
            break
    assert schedule.decide(progress, progress.start_ns).go == ()


def test_a_history_folds_into_the_same_calls_that_it_tells_of() -> None:
    """Progress and history read the same calls from the operations."""
    for name in NAMES:
        cell, progress = scenario(name), FoldedProgress(lives_of(scenario(name)))
        for op in history(name):
            progress.fold(op)
        calls = {(call.step, call.rank, call.life, call.number): call.outcome for call in history(name).calls}
        assert {key: call.outcome for key, call in progress.calls.items()} == calls, cell.name
        assert all(progress.rank(rank).ended for rank in range(cell.world.size)), cell.name
