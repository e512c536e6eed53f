"""The processor time of calls that wait: histories that are accepted, and histories that are rejected."""

from __future__ import annotations

from typing import Any

import pytest
from pasts import Past, scenario

from harness.checkers.idle_wait import IdleWait
from harness.values.verdict import FAILED, PASSED, VACUOUS, Verdict


def judged(past: Past) -> Verdict:
    return IdleWait().check(scenario(), past.whole(), {})


def waited(cpu: float, lag: float = 0, until: float = 2, outcome: str = "failed", **keys: Any) -> Past:
    return Past(2).join(0, 0, until, outcome, cpu=cpu, lag=lag, **keys)


@pytest.mark.parametrize(
    ("cpu", "lag"),
    [
        (0.01, 0),
        (0.19 * 2, 1.9),  # a busy machine gave it little, and it needed that
        (0.9, 0),  # not even half of the time
        (0.1, 5),  # several threads waited for a processor
    ],
)
def test_a_wait_that_uses_little_is_accepted(cpu: float, lag: float) -> None:
    """Of 2 s."""
    assert judged(waited(cpu, lag)).status == PASSED


@pytest.mark.parametrize(("cpu", "lag"), [(2.0, 0), (1.0, 0), (0.7, 1.2), (3.9, 0.1), (0.4, 1.6)])
def test_a_wait_that_uses_a_processor_is_rejected(cpu: float, lag: float) -> None:
    """Also where the machine gave it only a part of one."""
    assert judged(waited(cpu, lag)).status == FAILED


def test_the_finding_says_how_much() -> None:
    """In words."""
    because = "rank 0's join raised DistNetworkError, and its process used a processor for 1.90 s of 2.00 s"
    assert judged(waited(1.9)).because == because


def test_a_join_that_returned_late_is_judged_too() -> None:
    """It waited for the last rank."""
    assert judged(waited(1.9, outcome="ok")).status == FAILED


@pytest.mark.parametrize("keys", [{"until": 0.4, "cpu": 0.4}, {"cpu": 0}])
def test_what_was_short_or_not_measured_is_not_judged(keys: dict[str, float]) -> None:
    """Old histories have no processor time."""
    assert judged(waited(**keys)).status == VACUOUS


def test_a_call_beside_another_thread_is_not_judged() -> None:
    """The processor time may be the other's."""
    assert judged(waited(1.9).call(0, "mix", 0.5, 0.6, f="set", thread="second")).status == VACUOUS


def test_a_call_that_works_is_not_judged() -> None:
    """A sleep, a job's sum."""
    assert judged(Past(2).all_join().call(0, "reduce", 1, 3, f="all_reduce", cpu=2)).status == VACUOUS


@pytest.mark.parametrize(("waiting", "calls", "status"), [(0, 400, VACUOUS), (0, 20, FAILED), (1, 400, FAILED)])
def test_a_master_that_serves_many_calls_meanwhile_is_not_judged(waiting: int, calls: int, status: str) -> None:
    """In its process the store answers them; a worker serves nobody, and a few calls explain no 1.9 s of 2 s."""
    past = Past(2).call(waiting, "get", 1, 3, f="get", cpu=1.9)
    for number in range(calls):
        past.call(1 - waiting, "mix", 1 + number / 500, 1.001 + number / 500, f="set", number=number + 1)
    assert IdleWait().check(scenario(), past.whole(), {}).status == status


@pytest.mark.parametrize("at", [(2.1, 2.2), (-0.005, -0.001)])
def test_a_call_of_another_thread_at_another_time_excuses_nothing(at: tuple[float, float]) -> None:
    """It used no processor meanwhile."""
    assert judged(waited(1.9).call(0, "mix", *at, f="set", thread="second")).status == FAILED


@pytest.mark.parametrize(("rank", "after"), [(0, 0.0), (1, 5.0)])
def test_only_calls_of_others_meanwhile_make_a_master_serve(rank: int, after: float) -> None:
    """Not its own threads' or other lives', and not those that come later."""
    past = Past(2).call(0, "get", 1, 3, f="get", cpu=1.9)
    for number in range(400):
        begin = 1 + after + number / 500
        past.call(rank, "mix", begin, begin + 0.001, f="set", number=number + 1, life=2)
    assert judged(past).status == FAILED
