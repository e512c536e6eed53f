"""Linearizability: for each verb of the store histories it accepts, and histories it rejects, with what it says."""

from __future__ import annotations

from typing import Any

import pytest
from store_calls import Calls, status

from harness.checkers import linearizable
from harness.checkers.linearizable import Linearizable
from harness.values.ops import ErrorInfo
from harness.values.verdict import ERROR, FAILED, PASSED, VACUOUS, Verdict

LOST = ErrorInfo("DistNetworkError", ("DistNetworkError", "RuntimeError", "Exception"), "reset by peer")


# -- registers ---------------------------------------------------------------------------------------------------


def test_reads_of_what_was_written_are_accepted() -> None:
    """And the verdict says how much was judged."""
    calls = Calls().call(1, "set", "x", value="1").call(1, "get", "x", returned="1").call(2, "get", "x", returned="1")
    assert calls.judged() == Verdict(
        "linearizable", PASSED, "3 calls on 1 key fit an order", Linearizable.declaration.summary
    )


def test_bytes_are_read_as_the_text_that_a_get_returns() -> None:
    """A read of bytes that a step stored is no impossible call; a read of others is."""
    calls = Calls().call(1, "set_bytes", "x", hex="31ff", repeat=1).call(2, "get", "x", returned=r"1\xff")
    assert status(calls) == PASSED
    assert status(calls.call(2, "get", "x", returned="1")) == FAILED


def test_a_read_of_what_was_overwritten_is_rejected_in_words() -> None:
    """The impossible call, the order of those before it, what the key held, and the operations as proof."""
    calls = Calls().call(1, "set", "x", value="old").call(1, "get", "x", returned="old")
    calls.call(1, "set", "x", value="new").call(1, "get", "x", returned="new").call(2, "get", "x", returned="old")
    verdict = calls.judged()
    assert verdict.status == FAILED
    assert verdict.because == (
        "rank 2's get-5 got 'old' from 'x', which no order of the calls on key 'x' allows: those before its end fit the"
        " order rank 1's set-1 set 'x' to 'old', then rank 1's get-2 got 'old' from 'x', then rank 1's set-3 set 'x' to"
        " 'new', then rank 1's get-4 got 'new' from 'x', after which 'x' holds 'new'"
    )
    assert verdict.happened == "rank 2's get-5 got 'old' from 'x'"
    history = calls.past.so_far()
    assert {history.ops[index].step for index in verdict.evidence} == {"set-1", "get-2", "set-3", "get-4", "get-5"}


def test_a_value_that_nobody_wrote_is_rejected() -> None:
    """No order explains it."""
    assert status(Calls().call(1, "set", "x", value="1").call(2, "get", "x", returned="2")) == FAILED


def test_reads_during_a_write_may_see_either_value_but_not_go_back() -> None:
    """A reader that saw the new value is followed by one that sees the old one."""
    calls = Calls().call(0, "set", "x", value="1").call(0, "get", "x", returned="1")
    calls.call(0, "set", "x", value="2", at=(10, 20)).call(1, "get", "x", returned="1", at=(11, 12))
    calls.call(1, "get", "x", returned="2", at=(13, 14))
    assert status(calls) == PASSED
    assert status(calls.call(2, "get", "x", returned="1", at=(15, 16))) == FAILED


@pytest.mark.parametrize("outcome", ["failed", "hung", "died"])
def test_a_write_of_unknown_outcome_may_have_been_done_or_not(outcome: str) -> None:
    """Also long after it ended; but once its value was seen, it was done."""
    calls = Calls().call(0, "add", "n", amount=1, returned=1).call(1, "add", "n", amount=1, outcome=outcome)
    assert status(calls.call(2, "get", "n", returned="1")) == PASSED
    calls.call(2, "get", "n", returned="2")
    assert calls.judged().because == "3 calls on 1 key fit an order, 1 call of unknown outcome"
    assert status(calls.call(2, "get", "n", returned="1")) == FAILED


def test_a_call_that_still_ran_at_the_end_may_have_been_done() -> None:
    """Its history was cut short."""
    calls = Calls().call(1, "add", "n", amount=5, at=(1, None)).call(2, "get", "n", returned="5")
    assert status(calls) == PASSED


def test_deleted_keys_are_missing_until_they_are_written_again() -> None:
    """`check` and `delete_key` say whether a key is there."""
    calls = Calls().call(0, "add", "x", amount=1, returned=1).call(1, "delete_key", "x", returned=True)
    assert status(calls.call(2, "check", "x", returned=False).call(2, "delete_key", "x", returned=False)) == PASSED
    assert status(calls.call(2, "check", "x", returned=True)) == FAILED


def test_a_wait_ends_only_when_its_key_is_there() -> None:
    """For several keys each must have been there, not all at once."""
    calls = Calls().call(0, "add", "x", amount=1, returned=1).call(1, "wait", "x", "y", at=(2, 20))
    assert status(calls) == FAILED
    calls.call(0, "delete_key", "x", returned=True, at=(4, 5)).call(0, "add", "y", amount=1, returned=1, at=(6, 7))
    assert status(calls) == PASSED


def test_a_check_of_several_keys_is_one_call() -> None:
    """False while all of them are there is impossible; so is True while one is missing."""
    there = Calls().call(0, "add", "x", amount=1, returned=1).call(0, "add", "y", amount=1, returned=1)
    assert status(there.call(1, "check", "x", "y", returned=True).call(1, "check", "x", "z", returned=False)) == PASSED
    assert status(there.call(1, "check", "x", "y", returned=False)) == FAILED


# -- counters, appends, comparisons, queues ----------------------------------------------------------------------


def test_a_counter_that_skips_or_repeats_is_rejected() -> None:
    """Each sum is returned once."""
    fine = Calls().call(0, "add", "n", amount=2, returned=2).call(1, "add", "n", amount=-3, returned=-1)
    assert status(fine) == PASSED
    assert status(Calls().call(0, "add", "n", amount=1, returned=1).call(1, "add", "n", amount=1, returned=1)) == FAILED
    assert status(Calls().call(0, "add", "n", amount=1, returned=1).call(1, "add", "n", amount=1, returned=3)) == FAILED


def test_an_add_reads_the_number_that_a_text_begins_with() -> None:
    """As torch does; to another text nothing can have been added."""
    calls = Calls().call(0, "set", "n", value="12abc").call(0, "add", "n", amount=1, returned=13)
    assert status(calls.call(1, "get", "n", returned="13")) == PASSED
    assert status(Calls().call(0, "set", "n", value="abc").call(0, "add", "n", amount=1, returned=1)) == FAILED


def test_an_append_that_is_lost_or_swapped_is_rejected() -> None:
    """Appends of one thread keep their order."""

    def logged(text: str) -> Calls:
        calls = Calls().call(0, "append", "log", value="a").call(0, "append", "log", value="b")
        return calls.call(0, "check", "log", returned=True).call(1, "get", "log", returned=text)

    assert status(logged("ab")) == PASSED
    assert status(logged("ba")) == FAILED
    assert status(logged("b")) == FAILED


def test_compare_set_is_judged_as_torch_documents_it() -> None:
    """A missing key is set if "" is expected; else the answer is what was expected, and the key is still missing."""
    calls = Calls().call(0, "compare_set", "x", expected="e", desired="d", returned="e")
    calls.call(0, "check", "x", returned=False).call(0, "compare_set", "x", expected="", desired="1", returned="1")
    calls.call(1, "compare_set", "x", expected="0", desired="2", returned="1")
    assert status(calls.call(1, "compare_set", "x", expected="1", desired="2", returned="2")) == PASSED
    assert status(calls.call(2, "compare_set", "x", expected="1", desired="3", returned="3")) == FAILED


def test_two_that_both_made_a_key_are_rejected() -> None:
    """Of two calls that expect "", one wins."""
    calls = Calls().call(0, "compare_set", "x", expected="", desired="0", returned="0", at=(1, 3))
    assert status(calls.call(1, "compare_set", "x", expected="", desired="1", returned="1", at=(1, 3))) == FAILED


def test_a_queue_gives_each_text_once_and_in_order() -> None:
    """First in, first out; a pop that found nothing took nothing."""
    empty = ErrorInfo("QueueEmptyError", ("QueueEmptyError", "DistStoreError"), "queue is empty")

    def taken(*texts: str) -> Calls:
        calls = Calls().call(0, "queue_push", "q", value="1").call(0, "queue_push", "q", value="2")
        calls.call(0, "check", "q", returned=True)
        calls.past.call(2, "none", 5, 5.1, "failed", f="queue_pop", arguments={"key": "q"}, error=empty, run_id="train")
        for text in texts:
            calls.call(1, "queue_pop", "q", returned=text)
        return calls

    assert status(taken("1", "2").call(1, "check", "q", returned=False)) == PASSED
    assert status(taken("2", "1")) == FAILED
    assert status(taken("1", "1")) == FAILED


def test_a_key_that_is_queue_and_value_is_left_out_and_named() -> None:
    """Torch keeps the two apart, so that neither model fits."""
    calls = Calls().call(0, "queue_push", "q", value="1").call(0, "set", "q", value="2")
    calls.call(0, "get", "q", returned="1").call(0, "add", "n", amount=1, returned=1)
    verdict = calls.judged()
    assert (verdict.status, "not judged, because used both as queue and as value: 'q'" in verdict.because) == (
        PASSED,
        True,
    )


def test_num_keys_counts_at_least_what_was_there() -> None:
    """More is always possible, because torch counts its own keys too; deleted ones may be missing."""
    calls = Calls().call(0, "add", "x", amount=1, returned=1).call(0, "add", "y", amount=1, returned=1)
    assert status(calls.call(1, "num_keys", returned=7)) == PASSED
    none = Calls().call(0, "add", "x", amount=1, returned=1).call(0, "add", "y", amount=1, returned=1)
    none.call(1, "num_keys", returned=0)
    assert none.judged().because == "rank 1's num_keys-3 counted 0 keys, while 'x' and 'y' were there"
    assert status(none, keys=["x"]) == PASSED  # the number is that of all keys
    calls.call(1, "delete_key", "x", returned=True)
    assert status(calls.call(1, "num_keys", returned=1)) == PASSED
    verdict = calls.call(1, "num_keys", returned=0).judged()
    assert (verdict.status, verdict.because) == (FAILED, "rank 1's num_keys-6 counted 0 keys, while 'y' was there")


# -- writes without reply ----------------------------------------------------------------------------------------


def lost_write() -> Calls:
    """F09: the set returned, and its value never came."""
    return Calls().call(1, "set", "x", value="1").call(2, "check", "x", returned=False)


def swapped_writes() -> Calls:
    """F10: the later of two writes is overwritten by the earlier one."""
    calls = Calls().call(1, "set", "x", value="first").call(2, "set", "x", value="second")
    return calls.call(2, "get", "x", returned="second").call(2, "get", "x", returned="first")


def torn_writes() -> Calls:
    """F47: one value of a multi_set is there, the others are not."""
    calls = Calls().call(1, "multi_set", values={"a": "1", "b": "2"}, at=(1, 9))
    return calls.call(2, "get", "a", returned="1", at=(2, 3)).call(2, "check", "b", returned=False, at=(4, 5))


@pytest.mark.parametrize("made", [lost_write, swapped_writes, torn_writes])
def test_what_writes_without_reply_may_do_is_an_error_only_if_strict(made: Any) -> None:
    """F09, F10 and F47: torch promises nothing until the next reply; `strict` is the promise."""
    assert status(made()) == PASSED
    assert status(made(), strict=True) == FAILED


def test_a_reply_confirms_the_writes_before_it_on_the_same_connection() -> None:
    """The writer's own next call, on whatever key; another's call confirms nothing."""
    calls = Calls().call(1, "set", "x", value="1").call(2, "check", "y", returned=False)
    assert status(calls.call(2, "check", "x", returned=False)) == PASSED
    calls.call(1, "check", "y", returned=False)
    assert status(calls.call(2, "check", "x", returned=False)) == FAILED


def test_a_thread_sees_its_own_writes() -> None:
    """The server handles the requests of one connection in their order."""
    calls = Calls().call(1, "set", "x", value="1").call(1, "set", "x", value="2")
    assert status(calls.call(1, "get", "x", returned="1")) == FAILED


def test_a_new_store_confirms_nothing() -> None:
    """After a join the handler may have another connection."""
    calls = Calls().call(1, "set", "x", value="1")
    calls.past.join(1, 5, 5.1, "failed", step="again")
    calls.call(1, "check", "y", returned=False, at=(6, 6.1)).call(2, "check", "x", returned=False, at=(7, 7.1))
    assert status(calls) == PASSED


def test_a_strict_multi_get_is_one_call() -> None:
    """It returns the old value of one key and the new one of the other."""
    calls = Calls().call(1, "multi_set", values={"a": "1", "b": "1"}).call(1, "multi_set", values={"a": "2", "b": "2"})
    calls.call(2, "multi_get", "a", "b", returned=["1", "2"])
    assert status(calls) == PASSED
    assert status(calls, strict=True) == FAILED


# -- what is judged ----------------------------------------------------------------------------------------------


def test_keys_of_different_runs_are_different() -> None:
    """The same name in two runs."""
    calls = Calls().call(0, "add", "x", amount=1, returned=1, run_id="a")
    assert status(calls.call(1, "add", "x", amount=1, returned=1, run_id="b")) == PASSED
    assert status(calls.call(1, "add", "x", amount=1, returned=1, run_id="b")) == FAILED


def test_only_the_named_keys_are_judged() -> None:
    """What goes wrong on another key is not looked at."""
    calls = Calls().call(0, "add", "x", amount=1, returned=1).call(0, "add", "y", amount=1, returned=5)
    assert (status(calls, keys=["x"]), status(calls, keys=["y"]), status(calls)) == (PASSED, FAILED, FAILED)
    one = Calls().call(0, "add", "xy", amount=1, returned=5)
    assert (status(one, keys="xy"), status(one, keys=["x", "y"])) == (FAILED, VACUOUS)


def test_the_run_that_was_called_first_is_told_first() -> None:
    """The other one was joined before it, and a call of it was skipped."""
    calls = Calls()
    calls.past.call(1, "skipped", None, 0.5, "skipped", f="get", run_id="train", handler="main")
    calls.call(1, "add", "x", amount=1, returned=5, run_id="own").call(1, "add", "x", amount=1, returned=7)
    assert calls.judged().because.startswith("rank 1's add-1 added 1 to 'x' and returned 5, ")


def test_without_a_result_there_is_nothing_to_judge() -> None:
    """Writes alone fit any order."""
    verdict = Calls().call(0, "set", "x", value="1").call(1, "append", "y", value="1").judged(strict=True)
    assert (verdict.status, verdict.because) == (VACUOUS, "no call returned anything about a key")


def test_a_search_that_does_not_end_is_unknown(monkeypatch: pytest.MonkeyPatch) -> None:
    """An error with advice: it has neither passed nor failed."""
    monkeypatch.setattr(linearizable, "STEPS", 1)
    verdict = Calls().call(0, "add", "x", amount=1, returned=1).call(1, "add", "x", amount=1, returned=3).judged()
    assert (verdict.status, verdict.because) == (
        ERROR,
        "unknown: the search for an order of the 2 calls on 'x', 0 of them of unknown outcome, did not end within its"
        " steps; use fewer calls or more keys, or let the embedded engine serve, which knows what passed",
    )


def test_what_is_impossible_is_reported_beside_what_is_unknown(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first key is decided within the steps, the second is not."""
    monkeypatch.setattr(linearizable, "STEPS", 3)
    calls = Calls().call(0, "add", "x", amount=1, returned=3)
    for number in range(9):
        calls.call(1, "add", "y", amount=1, returned=number + 1)
    assert status(calls) == FAILED


# -- what a correct store does, and is not rejected for ----------------------------------------------------------


def test_bytes_that_were_set_are_a_write() -> None:
    """A `get` returns them as text; `same_bytes` reads them."""
    calls = Calls().call(1, "set", "x", value="a").call(1, "set_bytes", "x", hex="62", repeat=2)
    calls.call(1, "same_bytes", "x", hex="6262", returned=True)
    assert status(calls.call(2, "get", "x", returned="bb")) == PASSED
    assert status(calls.call(2, "get", "x", returned="a")) == FAILED


def test_a_reply_to_a_clone_confirms_nothing_of_the_store_before() -> None:
    """The clone has a connection of its own, on which the write may be overtaken; any thread may have made it."""
    for rest in ({}, {"thread": "second"}):
        calls = Calls().call(1, "set", "x", value="1")
        calls.past.call(1, "clone", 1.5, 1.6, run_id="train", handler="main", **rest)
        calls.call(1, "check", "y", returned=False)
        assert status(calls.call(2, "check", "x", returned=False)) == PASSED


def test_num_keys_does_not_count_queues() -> None:
    """As torch's does not, though `wait` sees them."""
    calls = Calls().call(1, "queue_push", "q", value="1").call(1, "wait", "q")
    assert status(calls.call(2, "num_keys", returned=0)) == PASSED


def test_writes_of_one_connection_keep_their_order_across_one_that_nobody_saw() -> None:
    """Each remembers the last one on each key only; the third still comes after the first."""
    calls = Calls().call(1, "set", "x", value="1").call(1, "set", "x", value="unseen").call(1, "set", "x", value="3")
    calls.call(2, "get", "x", returned="3")
    assert status(calls.call(2, "get", "x", returned="1")) == FAILED
