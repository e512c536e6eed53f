"""Closing: histories it accepts, and histories it rejects."""

from __future__ import annotations

import pytest
from pasts import NETWORK, Past, scenario

from harness.checkers.closing import Closing
from harness.values.history import History
from harness.values.ops import ErrorInfo
from harness.values.verdict import FAILED, PASSED, VACUOUS, Verdict

RULE = Closing.declaration.summary
CLOSED = ErrorInfo("RendezvousClosedError", ("RendezvousClosedError", "RendezvousError"), "the run is closed")


def judged(history: History) -> Verdict:
    return Closing().check(scenario(size=3, run_ids={"second": "again"}), history, {})


def closed(by: int = 1, verb: str = "set_closed", past: Past | None = None, **keys: object) -> Past:
    """All have joined, and one closes."""
    value = True if verb == "shutdown" else None
    return (Past(3).all_join() if past is None else past).call(by, verb, 1, 1.1, value=value, **keys)


def asks(past: Past, rank: int, says: bool, **keys: object) -> Past:
    return past.call(rank, "is_closed", 2, 2.1, value=says, **keys)


@pytest.mark.parametrize("verb", ["set_closed", "shutdown"])
def test_a_handler_knows_what_it_closed_itself(verb: str) -> None:
    """It says so, and joins no more."""
    past = asks(closed(verb=verb), 1, True).join(1, 2.2, 2.3, "failed", step="more", error=CLOSED)
    assert judged(past.whole()) == Verdict("closing", PASSED, "1 end of handlers and runs, and all knew", RULE)


@pytest.mark.parametrize("verb", ["set_closed", "shutdown"])
def test_a_handler_that_forgets_is_rejected(verb: str) -> None:
    """F26, whatever faults there are: each answer is a violation."""
    past = asks(closed(verb=verb).fault("cut", 0.5, None), 1, False).join(1, 2.2, 2.3, step="more")
    verdict = judged(past.whole())
    assert (verdict.status, len(verdict.violations)) == (FAILED, 2)
    assert verdict.because == f"rank 1's is_closed returned false after rank 1's {verb} had returned (and 1 more)"


def test_a_join_of_a_closed_handler_says_that_it_is_closed() -> None:
    """Another error would be tried again."""
    verdict = judged(closed().join(1, 2, 2.1, "failed", step="more", error=NETWORK).whole())
    assert verdict.because == "rank 1's more raised DistNetworkError after rank 1's set_closed had returned"


def test_a_shutdown_that_says_no_is_rejected() -> None:
    """Its caller would think that the port is held."""
    past = Past(3).all_join().call(1, "shutdown", 1, 1.1, value=False)
    assert judged(past.whole()).because == "rank 1's shutdown returned false"


def test_a_handler_that_was_dropped_is_another_one_afterwards() -> None:
    """It may join again."""
    past = closed(verb="shutdown").call(1, "drop", 1.2, 1.3).join(1, 2.2, 2.3, step="more")
    assert judged(past.whole()).status == PASSED


def test_what_others_closed_is_closed_for_all() -> None:
    """A rank that had joined asks, and a rank joins again."""
    assert judged(asks(closed(), 2, True).whole()).status == PASSED
    assert judged(asks(closed(), 2, False).whole()).status == FAILED
    assert judged(closed().join(2, 2, 2.1, step="more").whole()).status == FAILED
    assert judged(closed().join(2, 2, 2.1, "failed", step="more", error=CLOSED).whole()).status == PASSED


@pytest.mark.parametrize(
    "past",
    [
        closed(verb="shutdown"),
        closed(past=Past(3).join(0, 0, 0.1).join(2, 0, 0.1)),
        closed(past=Past(3).all_join().fault("cut", 0.5, None, ranks=(1,))),
        closed(past=Past(3).all_join().fault("cut", 0.5, 0.6, ranks=(2,))),
        closed(past=Past(3).all_join().fault("frozen", 1.5, None, ranks=(0,), kind="pause")),
        closed().ends(0, 1.5, 1.6),
        closed().call(0, "drop", 1.5, 1.6),
        closed().call(1, "drop", 1.5, 1.6),
        closed().join(0, 1.5, 1.6, "failed", step="anew", error=CLOSED),
        closed(handler="second", run_id="again"),
    ],
)
def test_others_may_not_know(past: Past) -> None:
    """Shut down is not closed; never joined; a fault, now or since; a master that went or came; another run."""
    assert judged(asks(past, 2, False).whole()).status == PASSED


def test_a_handler_that_never_joined_knows_nothing() -> None:
    """It has no store to ask."""
    past = closed(past=Past(3).join(0, 0, 0.1).join(1, 0, 0.1))
    assert judged(asks(past, 2, False).whole()).status == PASSED


def test_an_answer_while_it_is_closed_may_be_either() -> None:
    """Only what had returned before counts."""
    assert judged(closed().call(2, "is_closed", 1.05, 1.2, value=False).whole()).status == PASSED
    assert judged(closed().call(2, "is_closed", 1.05, 1.2, value=True).whole()).status == PASSED


def test_an_open_run_that_is_called_closed_is_rejected() -> None:
    """Nobody has closed it, or only another run."""
    verdict = judged(asks(Past(3).all_join(), 1, True).whole())
    assert verdict.because == "rank 1's is_closed returned true, and nobody had closed the run"
    assert judged(asks(closed(handler="second", run_id="again"), 2, True, run_id="train").whole()).status == FAILED
    assert judged(asks(Past(3).all_join(), 1, False).whole()).status == PASSED


def test_nothing_closed_and_nobody_asked_is_nothing_to_judge() -> None:
    """Most runs."""
    assert judged(Past(3).all_join().whole()).status == VACUOUS


def test_calls_that_were_skipped_close_and_ask_nothing() -> None:
    """They never began."""
    assert judged(Past(3).all_join().call(1, "is_closed", None, 2.1, "skipped").whole()).status == VACUOUS
    skipped = Past(3).all_join().call(2, "set_closed", None, 1.5, "skipped")
    assert judged(asks(skipped, 1, True).whole()).status == FAILED


def test_a_handler_that_joins_later_had_no_store_to_ask() -> None:
    """Its join returned after it had asked."""
    past = closed(past=Past(3).join(0, 0, 0.1).join(1, 0, 0.1))
    past = asks(past, 2, False).join(2, 2.2, 2.3, run_id="other", handler="second", step="later")
    assert judged(past.join(2, 2.4, 2.5, "failed", step="more", error=CLOSED).whole()).status == PASSED


@pytest.mark.parametrize("at", [0.5, 1.5, 3.0])
def test_only_its_own_drop_in_between_makes_a_handler_another_one(at: float) -> None:
    """One before it was closed, one of another handler, and one after it was asked change nothing."""
    own = {"handler": "second" if at == 1.5 else "main"}
    assert (
        judged(asks(closed().call(1, "drop", at, at + 0.1, **own), 1, False, handler="main").whole()).status == FAILED
    )


def test_a_close_that_failed_closes_nothing_for_sure() -> None:
    """It may have been done or not."""
    for says in (True, False):
        past = Past(3).all_join().call(1, "set_closed", 1, 1.1, "failed")
        assert judged(asks(past, 1, says).whole()).status == PASSED


def test_a_master_that_joins_another_run_opens_nothing_anew() -> None:
    """The run is closed still."""
    past = closed().join(0, 1.5, 1.6, run_id="again", handler="second", step="again")
    assert judged(asks(past, 2, False).whole()).status == FAILED


def test_a_join_of_a_closed_run_is_told_by_the_server() -> None:
    """So also that of a rank that had not joined before; one that died or hung says nothing."""
    past = Past(3).join(0, 0, 0.1).join(1, 0, 0.1)
    assert judged(closed(past=past).join(2, 2, 2.1).whole()).status == FAILED
    for outcome in ("died", "hung"):
        assert judged(closed().join(2, 2, 4, outcome, step="more").whole()).status == PASSED


def test_an_answer_that_failed_is_no_answer() -> None:
    """Its connection may be gone."""
    assert judged(closed().call(1, "is_closed", 2, 2.1, "failed").whole()).status == PASSED


def test_who_closes_must_have_joined_before() -> None:
    """After a join that failed it has no server to tell."""
    failed = Past(3).join(0, 0, 0.1).join(2, 0, 0.1).join(1, 0, 0.1, "failed")
    assert judged(asks(closed(past=failed), 2, False).whole()).status == PASSED


def test_a_fault_that_was_over_when_the_rank_joined_excuses_nothing() -> None:
    """Another rank had joined beside it."""
    past = Past(3).fault("cut", 0.01, 0.2, ranks=(1,)).join(0, 0, 0.5).join(2, 0, 0.5).join(1, 0.3, 0.5)
    assert judged(asks(closed(past=past), 2, False).whole()).status == FAILED


def test_what_is_closed_later_was_open() -> None:
    """It said that it was closed before anybody began to close it."""
    assert judged(asks(Past(3).all_join(), 1, True).call(1, "set_closed", 3, 3.1).whole()).status == FAILED


def test_a_run_that_was_closed_beside_it_is_another_one() -> None:
    """Rank 1 is a member of both."""
    past = Past(3).all_join().join(1, 0.2, 0.3, run_id="again", handler="second", step="again")
    assert judged(asks(closed(past=past, handler="second", run_id="again"), 2, False).whole()).status == PASSED
