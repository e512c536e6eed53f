"""Add once: histories it accepts, and histories it rejects."""

from __future__ import annotations

from typing import Any

import pytest
from pasts import Past, scenario

from harness.checkers.add_once import AddOnce
from harness.values.history import History
from harness.values.verdict import FAILED, PASSED, VACUOUS, Verdict

RULE = AddOnce.declaration.summary


def judged(history: History) -> Verdict:
    return AddOnce().check(scenario(size=3), history, {})


class Counter:
    """Adds to one key, one after another, each a tenth of a second after the last."""

    def __init__(self) -> None:
        self.past = Past(3).all_join()
        self._at = 1.0

    def add(
        self, rank: int = 1, value: int | None = None, outcome: str = "ok", amount: int = 1, **more: Any
    ) -> Counter:
        given = {"key": more.pop("key", "k"), "amount": amount}
        begin, self._at = self._at, self._at + 0.1
        number = round(begin * 10)
        self.past.call(
            rank, "count", begin, begin + 0.05, outcome, f="add", arguments=given, number=number,
            value=value if outcome == "ok" else None, **more,
        )  # fmt: skip
        return self

    def call(self, f: str, returned: Any = None, **arguments: Any) -> Counter:
        begin, self._at = self._at, self._at + 0.1
        self.past.call(2, f, begin, begin + 0.05, f=f, arguments={"key": "k", **arguments}, value=returned)
        return self

    @property
    def verdict(self) -> Verdict:
        return judged(self.past.whole())


def test_every_add_counts_once() -> None:
    """What adds and reads returned is the number of adds."""
    verdict = Counter().add(1, 1).add(2, 2).call("get", "2").verdict
    assert verdict == Verdict("add_once", PASSED, "3 values of 1 counter fit the adds", RULE)


@pytest.mark.parametrize("outcome", ["failed", "hung", "died"])
@pytest.mark.parametrize("value", [1, 2])
def test_an_add_of_unknown_outcome_may_have_counted_or_not(outcome: str, value: int) -> None:
    """Its reply was lost."""
    assert Counter().add(1, outcome=outcome).add(2, value).verdict.status == PASSED


def test_an_add_that_counted_twice_is_rejected() -> None:
    """It was sent again after its reply was lost."""
    verdict = Counter().add(1, outcome="failed").add(2, 3).verdict
    because = "rank 2's count (call 11) returned 3, while 1 add had been done and 1 more may have been: 1 to 2"
    assert verdict == Verdict("add_once", FAILED, because, RULE, "3 in place of 1 to 2", (10, 11))


def test_a_retry_inside_an_answered_add_is_rejected() -> None:
    """The caller saw one add, which the server did twice."""
    assert (
        Counter()
        .add(1, 2)
        .verdict.because.endswith("returned 2, while 1 add had been done and 0 more may have been: 1 to 1")
    )


def test_an_add_that_was_answered_and_is_lost_is_rejected() -> None:
    """It returned 1, and the next add does too."""
    assert Counter().add(1, 1).add(2, 1).verdict.status == FAILED


def test_each_wrong_value_is_a_violation_of_its_own() -> None:
    """The second and the third value are too high."""
    verdict = Counter().add(1, 1).add(2, 3).call("get", "4").verdict
    assert [one.evidence for one in verdict.violations] == [(10, 11), (12, 13)]


def test_adds_at_the_same_time_may_count_in_any_order() -> None:
    """Neither was answered before the other began."""
    past = Past(3).all_join()
    for rank, value in ((1, 2), (2, 1)):
        past.call(rank, "add", 1, 2, arguments={"key": "k", "amount": 1}, value=value)
    assert judged(past.whole()).status == PASSED


def test_amounts_of_any_sign_are_summed() -> None:
    """An add of -3 that failed may have made it less."""
    assert Counter().add(1, outcome="failed", amount=-3).add(2, -1, amount=2).verdict.status == PASSED
    assert Counter().add(1, outcome="failed", amount=-3).add(2, 5, amount=2).verdict.status == FAILED
    assert Counter().add(1, outcome="failed", amount=-3).add(2, -4, amount=2).verdict.status == FAILED


@pytest.mark.parametrize("write", ["set", "append", "delete_key", "queue_push"])
def test_a_key_that_something_else_writes_is_not_judged(write: str) -> None:
    """`linearizable` judges it."""
    returned = True if write == "delete_key" else None
    assert Counter().add(1, 1).call(write, returned, value="7").add(2, 8).verdict.status == VACUOUS


def test_a_new_server_counts_anew() -> None:
    """The master was killed and started again; too high is too high on any server."""
    counter = Counter().add(1, 1)
    counter.past.ends(0, None, 1.07, signal=9, by="fault kill")
    assert counter.add(2, 1).verdict.status == PASSED
    assert counter.add(2, 4).verdict.status == FAILED


@pytest.mark.parametrize("verb", ["drop", "shutdown"])
def test_a_master_that_let_its_server_go_may_serve_anew(verb: str) -> None:
    """A worker that lets its handler go changes nothing."""
    for rank, status in ((0, PASSED), (1, FAILED)):
        counter = Counter().add(1, 1)
        counter.past.call(rank, verb, 1.06, 1.08, value=True)
        assert counter.add(2, 1).verdict.status == status


def test_an_add_that_comes_later_counts_for_nothing() -> None:
    """It had not begun when the value was returned."""
    assert Counter().add(1, 2).add(2, outcome="failed").verdict.status == FAILED


def test_only_what_returned_a_value_of_the_counter_is_judged() -> None:
    """A check tells whether a key is there; a get that failed tells nothing."""
    checked = Counter().add(1, 1)
    checked.past.call(2, "check", 2, 2.1, arguments={"keys": ["k"]}, value=[5])
    checked.past.call(2, "get", 3, 3.1, "failed", arguments={"key": "k"})
    assert checked.verdict.because == "1 value of 1 counter fit the adds"


def test_runs_and_rounds_that_the_subject_reports_count_apart() -> None:
    """The same key, of another run and of another round."""
    assert Counter().add(1, 1, run_id="a", round=1).add(2, 1, run_id="b", round=1).verdict.status == PASSED
    assert Counter().add(1, 1, run_id="a", round=1).add(2, 1, run_id="a", round=2).verdict.status == PASSED
    assert Counter().add(1, 1, run_id="a").add(2, 1, run_id="a").verdict.status == FAILED


def test_sums_that_may_wrap_around_are_not_judged() -> None:
    """F46."""
    assert Counter().add(1, 2**62, amount=2**62).add(1, -(2**63), amount=2**62).verdict.status == VACUOUS


def test_what_is_no_number_is_not_judged() -> None:
    """A mutant may return anything; other checks judge that."""
    assert Counter().add(1, None).call("get", "text").verdict.status == VACUOUS


def test_an_add_that_was_skipped_counts_for_nothing() -> None:
    """It never began."""
    counter = Counter()
    counter.past.call(1, "add", None, 0.9, "skipped", arguments={"key": "k", "amount": 1})
    assert counter.add(2, 2).verdict.status == FAILED


def test_a_multi_get_gives_the_value_of_each_key() -> None:
    """Of one that returned no list nothing is known."""
    assert Counter().add(1, 1).call("multi_get", ["7", "2"], keys=["other", "k"]).verdict.status == FAILED
    assert Counter().add(1, 1).call("multi_get", 2, keys=["k"]).verdict.status == PASSED
