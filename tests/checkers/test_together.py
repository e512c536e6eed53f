"""Together: histories it accepts, and histories it rejects."""

from __future__ import annotations

from pasts import Past, scenario

from harness.checkers.together import Together
from harness.values.history import History
from harness.values.verdict import FAILED, PASSED, VACUOUS, Verdict

RULE = Together.declaration.summary


def judged(history: History) -> Verdict:
    return Together().check(scenario(), history, {})


def test_all_begin_and_then_all_return() -> None:
    """The plain case."""
    past = Past(3).all_join()
    assert judged(past.whole()) == Verdict("together", PASSED, "1 round joined together", RULE)


def test_all_raise() -> None:
    """All or nothing: nothing is fine too."""
    assert judged(Past(2).all_join(outcome="failed").whole()).status == PASSED


def test_a_retry_that_returns_counts_as_returned() -> None:
    """Raised first, returned then, in the same round."""
    past = Past(2).join(0, 0.001, 1.0).join(1, 0.002, 0.1, "failed").join(1, 0.5, 1.0, step="retry")
    assert judged(past.whole()).status == PASSED


def test_a_process_that_died_neither_returned_nor_raised() -> None:
    """A kill in the join is no split."""
    past = Past(2).join(0, 0.001, 0.5).join(1, 0.002, 0.4, "died")
    assert judged(past.whole()).status == PASSED


def test_a_second_round_is_judged_by_itself() -> None:
    """The first returned, the second raised, each by all."""
    past = Past(2).all_join().all_join(1.0, 3.0, outcome="failed", step="again")
    assert judged(past.whole()).because == "2 rounds joined together"


def test_no_join_that_ended_is_nothing_to_judge() -> None:
    """A play in which nobody called rendezvous, or no call of it returned or raised."""
    assert judged(Past().whole()).status == VACUOUS
    assert judged(Past(2).join(0, 0, 1, "died").join(1, 0, 1, "hung").whole()).status == VACUOUS


def test_a_join_that_says_no_world_size_waits_for_nobody() -> None:
    """Nobody can be missing from it."""
    assert judged(Past(2).join(0, 0, 1, world_size=None, returned={"world_size": None}).whole()).status == PASSED


def test_an_early_worker_is_rejected() -> None:
    """It was back before rank 0 had begun."""
    past = Past(2).join(1, 0.001, 0.002).join(0, 0.005, 0.01)
    because = "rank 1's join returned before rank 0 had begun to join"
    assert judged(past.whole()) == Verdict("together", FAILED, because, RULE, because, (2, 3))


def test_a_split_is_rejected() -> None:
    """F33: the worker returned, the master raised."""
    past = Past(2).join(0, 0.001, 2.0, "failed").join(1, 0.002, 0.01)
    because = "rank 1 returned, but rank 0's join raised"
    assert judged(past.whole()) == Verdict("together", FAILED, because, RULE, because, (3, 4, 2, 5))


def test_a_second_round_without_barrier_is_rejected() -> None:
    """F25: one rank alone is back from round 2 at once."""
    past = Past(2).all_join().join(0, 0.5, 0.501, step="again")
    assert judged(past.whole()).because == "rank 0's again returned before rank 1 had begun to join"


def test_a_split_in_a_reported_round_is_rejected() -> None:
    """A join that raised reports no round: it is the one after the process's last."""
    past = Past(2).all_join(returned={"round": 7})
    past.join(0, 1.0, 1.1, step="again", returned={"round": 8}).join(1, 1.0, 3.0, "failed", step="again")
    assert judged(past.whole()).because == "rank 0 returned, but rank 1's again raised"


def test_a_join_behind_one_that_hung_has_come_to_either_round() -> None:
    """Rank 1's first join was judged hung and returned late, so its second may be for the second round: no early return
    of rank 0, and no split if it raises. A rank that has not begun any other is early."""
    hung = Past(2).join(0, 0, 1).join(1, 0, 1, "hung")
    for outcome in ("died", "failed"):
        past = hung.join(1, 1.1, 1.5, outcome, step="again").join(0, 1.2, 1.4, step="again")
        assert judged(past.whole()).status == PASSED, outcome
        hung = Past(2).join(0, 0, 1).join(1, 0, 1, "hung")
    early = judged(hung.join(0, 1.2, 1.4, step="again").join(1, 1.5, 2, "died", step="again").whole())
    assert early.because == "rank 0's again returned before rank 1 had begun to join"
