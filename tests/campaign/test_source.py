"""What is played next: repetitions, and the queue between any source and the worlds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from pasts import scenario

from harness.campaign.source import Queue, Repeats, Trial
from harness.judge.result import Result
from harness.scenario.scenario import Scenario
from harness.values.errors import HarnessError
from harness.values.history import History
from harness.values.verdict import ERROR, FAILED, KNOWN, PASSED, SKIPPED, VACUOUS, Judgement

A, B = (scenario(title=title) for title in "AB")


def result(cell: Scenario = A, status: str = PASSED) -> Result:
    return Result(cell, Judgement(status, "because"), History(), Path("r"), 0.1)


def plan(trials: Sequence[Trial] | None) -> list[tuple[str, int]] | None:
    return None if trials is None else [(trial.scenario.title, trial.attempt) for trial in trials]


class Scripted:
    """Gives these answers in turn, and remembers what it was called with."""

    def __init__(self, *answers: Sequence[Trial] | None) -> None:
        self.calls: list[list[Result]] = []
        self._answers = list(answers)

    def next(self, results: Sequence[Result]) -> Sequence[Trial] | None:
        self.calls.append(list(results))
        return self._answers.pop(0)


def test_repeats_give_every_cell_before_they_repeat_one() -> None:
    """All cells of an attempt at once; the end comes when all results are in, so nothing that waits is lost."""
    source = Repeats([A, B], repeat=2)
    assert plan(source.next([])) == [("A", 1), ("B", 1)]
    assert plan(source.next([result()])) == [("A", 2), ("B", 2)]
    assert plan(source.next([result(), result()])) == []
    assert source.next([result()]) is None


def test_no_cells_end_at_once() -> None:
    """Nothing to play is no reason to wait."""
    assert Repeats([]).next([]) is None


@pytest.mark.parametrize("status", [FAILED, VACUOUS, ERROR])
def test_until_fail_ends_at_the_first_result_that_is_not_as_expected(status: str) -> None:
    """One trial at a time, so that the end comes at once."""
    source = Repeats([A, B], repeat=50, until_fail=True)
    assert [plan(source.next([])), plan(source.next([result()]))] == [[("A", 1)], [("B", 1)]]
    assert source.next([result(), result(status=status)]) is None


def test_until_fail_goes_on_while_all_is_as_expected() -> None:
    """Known failures and skipped cells too; the number of repetitions is the most that is played."""
    source = Repeats([A], repeat=3, until_fail=True)
    results = [[], [result()], [result(status=KNOWN)]]
    assert [plan(source.next(some)) for some in results] == [[("A", 1)], [("A", 2)], [("A", 3)]]
    assert source.next([result(status=SKIPPED)]) is None


def test_a_source_is_asked_while_there_is_room() -> None:
    """What runs and what waits both take room."""
    source = Scripted([Trial(A)], [Trial(A), Trial(B)])
    queue = Queue(source, room=3)
    assert queue.fill(running=1)
    assert plan(queue.waiting) == [("A", 1), ("A", 1), ("B", 1)]
    assert queue.fill(running=1)
    assert len(source.calls) == 2


def test_each_result_is_handed_over_once_and_in_order() -> None:
    """At the first call after it came."""
    source = Scripted([Trial(A), Trial(A)], [Trial(A)], [], [])
    queue = Queue(source, room=2)
    first, second, third = (result(status=status) for status in (PASSED, FAILED, ERROR))
    queue.fill(0)
    queue.add_result(first)
    queue.add_result(second)
    queue.waiting.clear()
    queue.fill(running=0)
    queue.add_result(third)
    queue.fill(running=0)
    assert source.calls == [[], [first, second], [], [third]]


def test_a_source_that_gives_nothing_for_the_moment_is_called_again() -> None:
    """While anything runs; nothing waits meanwhile."""
    source = Scripted([], [Trial(A)])
    queue = Queue(source, room=2)
    assert queue.fill(running=1)
    assert not queue.waiting
    assert queue.fill(running=1)
    assert plan(queue.waiting) == [("A", 1)]


def test_when_a_source_has_ended_what_waits_is_not_played_and_it_is_not_called_again() -> None:
    """What runs is waited for."""
    source = Scripted([Trial(A)], [], None)
    queue = Queue(source, room=3)
    assert queue.fill(running=1)
    assert plan(queue.waiting) == [("A", 1)]
    assert queue.fill(running=1)
    assert not queue.waiting
    assert not queue.fill(running=0)
    assert len(source.calls) == 3


def test_a_source_that_waits_for_nothing_is_an_error_and_no_hang() -> None:
    """It names the source, and what to return instead."""
    with pytest.raises(HarnessError, match=r"Scripted gives nothing to play, .* must return None"):
        Queue(Scripted([]), room=1).fill(running=0)


def test_trials_are_prepared_when_they_come() -> None:
    """So that what cannot be played is known before anything of it starts."""
    queue = Queue(Scripted([Trial(A, 1)]), room=1, prepare=lambda trial: replace(trial, attempt=9))
    queue.fill(0)
    assert plan(queue.waiting) == [("A", 9)]
