"""Agreement: histories it accepts, and histories it rejects."""

from __future__ import annotations

import pytest
from pasts import Past, scenario

from harness.checkers.agreement import Agreement
from harness.values.history import History
from harness.values.verdict import FAILED, PASSED, VACUOUS, Verdict

RULE = Agreement.declaration.summary


def judged(history: History) -> Verdict:
    return Agreement().check(scenario(), history, {})


def rejected(because: str, *evidence: int) -> Verdict:
    return Verdict("agreement", FAILED, because, RULE, because, evidence)


def test_a_clean_join_agrees() -> None:
    """Distinct ranks, one world size, and the master back last."""
    past = Past(3).all_join()
    assert judged(past.whole()) == Verdict("agreement", PASSED, "3 joins returned without disagreement", RULE)


def test_a_worker_may_return_before_others_have_begun() -> None:
    """Stock workers return as soon as they are counted; only `together` forbids it."""
    past = Past(2).join(1, 0.001, 0.002).join(0, 0.005, 0.01)
    assert judged(past.whole()).status == PASSED


def test_a_retry_counts_by_its_last_return() -> None:
    """A process that joined twice is one member, not two of the same rank."""
    past = Past(2).all_join().join(1, 0.5, 0.6, step="again")
    assert judged(past.whole()).status == PASSED


def test_a_second_life_takes_the_place_of_the_first() -> None:
    """A process that was killed and came again is the same member."""
    past = Past(2).all_join().join(1, 1.0, 1.1, life=2)
    assert judged(past.whole()).status == PASSED


def test_two_run_ids_may_both_have_a_rank_0() -> None:
    """Ranks are compared within one run only."""
    past = Past(2).all_join().join(0, 0.5, 0.6, step="own", handler="second", run_id="other", world_size=1)
    assert judged(past.whole()).status == PASSED


def test_rounds_that_are_reported_are_judged_apart() -> None:
    """A rank may change from one round to the next, where the subject chooses the ranks."""
    past = Past(2, subject="c10d")
    for rank in (0, 1):
        past.join(rank, 0.001, 0.01, returned={"round": 1})
        past.join(rank, 0.5, 0.6, step="again", returned={"round": 2, "rank": 1 - rank})
    assert judged(past.whole()).status == PASSED


def test_nobody_returned_is_nothing_to_judge() -> None:
    """A join that raised promises nothing."""
    past = Past(2).join(0, 0.001, 2.0, "failed")
    assert judged(past.whole()) == Verdict("agreement", VACUOUS, "no rendezvous returned", RULE)


def test_one_rank_held_twice_is_rejected() -> None:
    """F06 a: two processes that came with the same node rank."""
    past = Past(3).join(0, 0.001, 0.02).join(1, 0.002, 0.01).join(2, 0.003, 0.011, as_rank=1)
    assert judged(past.whole()).because == "processes 1 and 2 both returned as rank 1 of run train (and 1 more)"


def test_a_rank_out_of_range_is_rejected() -> None:
    """F06 b: rank 7 of a world of 2; and it does not take the place of rank 1, which never came."""
    past = Past(2).join(0, 0.001, 0.02).join(1, 0.002, 0.01, as_rank=7)
    assert judged(past.whole()) == Verdict(
        "agreement",
        FAILED,
        "process 1 returned as rank 7 of a world of 2 (and 1 more)",
        RULE,
        "process 1 returned as rank 7 of a world of 2",
        (3, 4, 2, 5),
    )


def test_different_world_sizes_are_rejected() -> None:
    """F06 c: the master's world has 2 members, the worker's 4."""
    past = Past(2).join(0, 0.001, 0.02).join(1, 0.002, 0.01, world_size=4)
    assert judged(past.whole()) == rejected("the world size differs: rank 1 has 4 and rank 0 has 2", 3, 4, 2, 5)


def test_a_master_that_returns_without_its_world_is_rejected() -> None:
    """F05: a retried join stood in for the rank that never came."""
    past = Past(3).join(0, 0.001, 0.5).join(1, 0.002, 0.01, "failed").join(1, 0.2, 0.3, step="retry")
    assert judged(past.whole()) == rejected(
        "rank 0, the master of run train, returned a world of 3 before rank 2 had begun to join", 2, 7
    )


def test_a_rank_that_begins_after_the_master_returned_is_rejected() -> None:
    """That it joins later does not make the early return right."""
    past = Past(2).join(0, 0.001, 0.5).join(1, 0.7, 0.8)
    assert judged(past.whole()).status == FAILED


def test_a_rank_of_another_run_does_not_count() -> None:
    """F07: job a's master was completed by job b's worker."""
    past = Past(2).join(0, 0.001, 0.5, run_id="a").join(1, 0.002, 0.01, run_id="b")
    assert judged(past.whole()) == rejected(
        "rank 0, the master of run a, returned a world of 2 before rank 1 of that run had begun to join;"
        " rank 1 joined run b meanwhile",
        2,
        5,
    )


def test_two_rosters_of_one_round_are_rejected() -> None:
    """The two ranks got different names for rank 2."""
    past = Past(3).join(0, 0.001, 0.02, returned={"round": 1, "roster": ["a", "b", "c"]})
    past.join(1, 0.002, 0.021, returned={"round": 1, "roster": ["a", "b", "d"]}).join(2, 0.003, 0.022)
    assert judged(past.whole()) == rejected(
        "processes 0 and 1 returned with different rosters of run train", 2, 5, 3, 6
    )


def test_rosters_with_nobody_in_common_are_those_of_two_openings() -> None:
    """The master was started again, and counts its rounds from 1 again."""
    past = Past(2)
    for life, roster in ((1, ["a", "b"]), (2, ["c", "d"])):
        past.join(0, life, life + 0.2, life=life, returned={"round": 1, "roster": roster})
    past.join(1, 1.001, 1.2, returned={"round": 1, "roster": ["a", "b"]})
    assert judged(past.whole()).status == PASSED


def test_ranks_that_were_exchanged_are_rejected() -> None:
    """A whole world of distinct ranks, but no process is the rank that its node was given."""
    past = Past(2).join(0, 0.001, 0.02, returned={"rank": 1}).join(1, 0.002, 0.01, returned={"rank": 0})
    verdict = judged(past.whole())
    assert verdict.status == FAILED
    assert verdict.because == "process 0 was given rank 0, and returned rank 1 (and 1 more)"


def test_a_rank_that_only_one_process_returned_wrongly_is_rejected() -> None:
    """The other raised, so no rank is held twice."""
    past = Past(2).join(0, 0.001, 2.0, "failed").join(1, 0.002, 0.01, returned={"rank": 0})
    assert judged(past.whole()) == rejected("process 1 was given rank 1, and returned rank 0", 3, 4)


def test_a_world_size_that_nobody_was_given_is_rejected() -> None:
    """All agree on it, and it is wrong."""
    past = Past(2).all_join(returned={"world_size": 3})
    assert judged(past.whole()).because == ("process 0 was given a world of 2, and returned a world of 3 (and 2 more)")


def test_a_backend_that_chooses_ranks_may_return_another() -> None:
    """torch's `c10d` numbers the nodes itself."""
    past = Past(2, subject="c10d")
    for rank in (0, 1):
        past.join(rank, 0.001, 0.01, returned={"rank": 1 - rank})
    assert judged(past.whole()).status == PASSED


@pytest.mark.parametrize("returned", ["localhost", "127.0.0.1", "::1", "LOCALHOST."])
def test_a_rank_of_another_host_that_gets_localhost_is_rejected(returned: str) -> None:
    """It would look for the master on its own host."""
    past = Past(2).join(0, 0.001, 0.02, endpoint="r0:29500", returned={"master_addr": "r0"})
    past.join(1, 0.002, 0.01, endpoint="r0:29500", returned={"master_addr": returned})
    assert judged(past.whole()) == rejected(
        f"process 1 was given the endpoint r0:29500, and returned the master's address {returned}", 3, 4
    )


@pytest.mark.parametrize(
    ("given", "returned"), [("[::1]:29500", "127.0.0.1"), ("localhost:1", "127.0.0.1"), ("r0:1", "r0")]
)
def test_an_endpoint_on_this_host_may_be_returned(given: str, returned: str) -> None:
    """A loopback address was given, or another one is returned."""
    past = Past(1).join(0, 0.001, 0.02, endpoint=given, returned={"master_addr": returned})
    assert judged(past.whole()).status == PASSED


def test_a_backend_of_others_may_say_that_it_chooses_the_ranks() -> None:
    """Then told and returned may differ, as with `c10d`; two processes with one rank may not."""
    chosen = {"chooses_ranks": True, "master_addr": "localhost"}
    swapped = Past(2, subject="theirs")
    for rank in (0, 1):
        swapped.join(rank, 0.001, 0.01, endpoint="10.0.0.1:29500", returned={**chosen, "rank": 1 - rank})
    assert judged(swapped.whole()).status == PASSED
    doubled = Past(2, subject="theirs")
    for rank in (0, 1):
        doubled.join(rank, 0.001, 0.01, returned={**chosen, "rank": 1})
    assert judged(doubled.whole()).status == FAILED


def test_a_rank_that_was_passed_raw_is_the_rank_that_was_given() -> None:
    """A scenario may pass `config: {rank: "1"}` to the handler, beside the rank of the process."""
    past = Past(2)
    for rank in (0, 1):
        past.call(
            rank, "join", 0.001, 0.01, f="rendezvous", run_id="train", handler="main",
            arguments={"rank": rank, "world_size": 2, "run_id": "train", "config": {"rank": str(1 - rank)}},
            value={"rank": 1 - rank, "world_size": 2},
        )  # fmt: skip
    assert judged(past.whole()).status == PASSED


def test_equal_rosters_and_none_agree() -> None:
    """Those of a subject that reports none say nothing."""
    past = Past(3).join(0, 0.001, 0.02, returned={"round": 1, "roster": ["a", "b", "c"]})
    past.join(1, 0.002, 0.021, returned={"round": 1, "roster": ["a", "b", "c"]})
    assert judged(past.join(2, 0.003, 0.022, returned={"round": 1}).whole()).status == PASSED


@pytest.mark.parametrize("returned", [{"rank": None}, {"world_size": None}, {"rank": None, "world_size": None}])
def test_what_a_join_does_not_say_is_not_judged(returned: dict[str, None]) -> None:
    """Another backend may return less."""
    past = Past(2).join(0, 0.001, 0.02, world_size=None, returned=returned)
    assert judged(past.join(1, 0.002, 0.02, world_size=None, returned=returned).whole()).status == PASSED
