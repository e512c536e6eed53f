"""No hang: histories it accepts, and histories it rejects."""

from __future__ import annotations

from pasts import Past, scenario

from harness.checkers.no_hang import NoHang
from harness.values.history import History
from harness.values.verdict import FAILED, PASSED, VACUOUS, Verdict

RULE = NoHang.declaration.summary


def judged(history: History) -> Verdict:
    return NoHang().check(scenario(), history, {})


def test_calls_that_ended_did_not_hang() -> None:
    """However they ended."""
    past = Past(2).join(0, 0.001, 2.0, "failed").join(1, 0.001, 1.0, "died").call(1, "get", None, 1.0, "skipped")
    assert judged(past.whole()) == Verdict("no_hang", PASSED, "5 calls, none hung", RULE)


def test_a_process_that_a_fault_ended_did_not_hang() -> None:
    """A kill is no guard."""
    past = Past(2).join(1, 0.001, 1.0, "died").ends(1, None, 1.0, signal=9, by="fault kill")
    assert judged(past.whole()).status == PASSED


def test_no_call_is_nothing_to_judge() -> None:
    """Not even an end of a process."""
    assert judged(Past(2).so_far()).status == VACUOUS


def test_a_call_that_its_guard_ended_is_rejected() -> None:
    """With a pointer to the stacks."""
    past = Past(2).join(0, 0.001, 0.01).join(1, 0.001, 0.01).call(1, "get", 1.0, 10.0, "hung")
    past.ends(1, None, 10.1, signal=9, by="guard", stacks="stacks/rank-1.life-1.txt")
    assert judged(past.whole()) == Verdict(
        "no_hang",
        FAILED,
        "rank 1's get hung: its guard ended it after 9.00 s; stacks: stacks/rank-1.life-1.txt",
        RULE,
        "hung after 9.00 s",
        (6, 7),
    )


def test_a_process_that_its_guard_ended_between_calls_is_rejected() -> None:
    """It was asked to leave, and did not."""
    past = Past(2).all_join().ends(1, 1.0, 10.0, signal=9, by="guard")
    assert judged(past.whole()).because == "rank 1's exit hung: its guard ended it after 9.00 s"


def test_a_hang_is_counted_once() -> None:
    """The call and the end of its process are one finding; two ranks are two."""
    past = Past(2)
    for rank in (0, 1):
        past.join(rank, 0.0, 9.0, "hung").ends(rank, None, 9.1, signal=9, by="guard")
    assert judged(past.whole()).because == "rank 0's join hung: its guard ended it after 9.00 s (and 1 more)"
