"""Leaks of a living process: histories that are accepted, and histories that are rejected."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest
from pasts import Past, at, scenario

from harness.checkers.no_leak import NoLeak
from harness.values.history import History
from harness.values.ops import CONTROLLER, HOLDS, INFO, Op, Process
from harness.values.verdict import FAILED, PASSED, VACUOUS, Verdict


def judged(history: History) -> Verdict:
    return NoLeak().check(scenario(), history, {})


def holds(
    numbers: Sequence[int],
    kind: str = "files",
    *,
    rank: int = 0,
    life: int = 1,
    after: str = "drop",
    handlers: Sequence[str] = (),
    since: float = 1,
) -> list[Op]:
    """A look every 100 ms."""
    return [
        Op(
            at(since + number / 10),
            Process(rank, life=life),
            INFO,
            HOLDS,
            value={"after": after, "handlers": list(handlers), "counts": {kind: count, "pipes": 4}},
        )
        for number, count in enumerate(numbers)
    ]


def past(*looks: list[Op]) -> History:
    history = Past(2).all_join().whole()
    return History.of([*history, *(op for one in looks for op in one)])


@pytest.mark.parametrize(
    "numbers",
    [
        [3] * 8,
        [1, 9, 9, 9, 9, 9, 9],  # made once, in the first cycle
        [3, 4, 5, 6, 5, 6, 7, 8],  # some that end late
        [3, 3, 3, 3, 4, 4, 5],  # two are not a slope
        [8, 7, 6, 5, 4, 3, 2],
    ],
)
def test_numbers_that_do_not_keep_growing_are_accepted(numbers: list[int]) -> None:
    """A process may make something once, and end something late."""
    assert judged(past(holds(numbers))).status == PASSED


@pytest.mark.parametrize(
    ("kind", "numbers"),
    [
        ("files", [3, 4, 5, 6, 7, 8]),
        ("threads", [2, 3, 3, 4, 4, 5, 5, 6]),  # in every other cycle
        ("connected sockets", [0, 0, 1, 2, 3, 4, 5]),
        ("listening sockets", [1, 3, 5, 7, 9, 11]),
    ],
)
def test_a_number_that_grows_with_the_cycles_is_rejected(kind: str, numbers: list[int]) -> None:
    """One for each join, or for every other."""
    verdict = judged(past(holds(numbers, kind)))
    assert verdict.status == FAILED
    assert verdict.because.startswith(f"rank 0 holds more and more {kind} after each drop: {numbers[1]}, ")
    assert len(verdict.evidence) == len(numbers) - 1


def test_few_looks_are_not_judged() -> None:
    """A slope needs them."""
    assert judged(past(holds([3, 4, 5, 6, 7]))).status == VACUOUS


def test_looks_in_different_states_are_not_compared() -> None:
    """With one more handler a process holds more, and another life, or another process, is not the same one."""
    states = [
        holds([3, 3], handlers=["a"]),
        holds([4, 4], handlers=["a", "b"], since=2),
        holds([5, 5], handlers=["a", "b", "c"], since=3),
        holds([6, 6], after="shutdown", since=4),
        holds([7, 7], rank=1, since=5),
        holds([8, 8], life=2, since=6),
    ]
    assert judged(past(*states)).status == VACUOUS


def test_sockets_that_were_accepted_are_not_judged() -> None:
    """More clients have come, and stay."""
    assert judged(past(holds([1, 2, 3, 4, 5, 6, 7], "accepted sockets"))).status == PASSED


def test_a_damaged_look_is_no_leak() -> None:
    """Whatever the file says, a verdict comes."""
    values = (None, 3, {}, "x", [], {"counts": 1}, {"counts": {"files": "x"}}, {})
    looks = [replace(op, value=value) for op, value in zip(holds([1] * 8), values, strict=True)]
    assert judged(past(looks)).status in (PASSED, VACUOUS)


def test_only_what_a_rank_counts_is_a_look() -> None:
    """A call that returns as much is none, and the controller's own numbers are not those of a rank."""
    looks = holds([1, 2, 3, 4, 5, 6, 7])
    assert judged(past(looks)).status == FAILED
    assert judged(past([replace(op, f="note") for op in looks])).status == VACUOUS
    assert judged(past([replace(op, process=Process(None, CONTROLLER)) for op in looks])).status == VACUOUS
