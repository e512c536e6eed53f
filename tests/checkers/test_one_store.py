"""Linearizability of a run that several servers, or several rounds, may have served."""

from __future__ import annotations

import pytest
from pasts import Past, scenario
from store_calls import Calls, status

from harness.checkers.linearizable import Linearizable
from harness.values.verdict import ERROR, FAILED, PASSED, VACUOUS


def test_several_servers_one_after_another_are_unknown() -> None:
    """A master that was started again has an empty store."""
    calls = Calls().call(0, "add", "x", amount=1, returned=1)
    calls.past.join(0, 4, 4.1, life=2)
    verdict = calls.call(1, "add", "x", amount=1, returned=1, at=(5, 6)).judged()
    assert (verdict.status, "was served by several servers" in verdict.because) == (ERROR, True)
    writes = Calls().call(0, "set", "x", value="1")
    writes.past.join(0, 4, 4.1, life=2)
    assert status(writes) == VACUOUS


@pytest.mark.parametrize("verb", ["drop", "shutdown"])
def test_a_master_that_let_its_server_go_and_joins_again_serves_anew(verb: str) -> None:
    """One that only lets it go, at the end, has served all that was called."""
    calls = Calls().call(0, "add", "x", amount=1, returned=1).call(1, "add", "x", amount=1, returned=2)
    calls.past.call(0, verb, 5, 5.1).call(1, verb, 5, 5.1)
    assert status(calls) == PASSED
    calls.past.join(1, 6, 6.1, "failed", step="again")  # a worker comes back to the server that there is
    assert status(calls) == PASSED
    calls.past.join(0, 6, 6.1, step="again")
    assert status(calls) == ERROR


def test_the_masters_of_other_runs_are_other_servers() -> None:
    """Rank 1 serves a run of its own."""
    calls = Calls().call(0, "add", "x", amount=1, returned=1)
    calls.past.join(1, 3, 3.1, as_rank=0, run_id="own", handler="own", step="own")
    assert status(calls.call(1, "add", "x", amount=1, returned=2)) == PASSED


def test_rounds_that_the_subject_reports_are_judged_each_by_itself() -> None:
    """The second one begins with no keys."""
    past = Past(2).all_join(returned={"round": 1}).all_join(1, 1.1, step="second", returned={"round": 2})
    for number, seen in ((1, 1), (2, 1), (2, 1)):
        assert Linearizable().check(scenario(), past.whole(), {}).status in (VACUOUS, PASSED)
        given = {"arguments": {"key": "x", "amount": 1}, "value": seen, "run_id": "train", "round": number}
        begin = 2.0 + len(past.so_far())
        past.call(0, f"add-{begin}", begin, begin + 0.1, f="add", **given)
    assert Linearizable().check(scenario(), past.whole(), {}).status == FAILED


def test_rounds_that_nobody_reports_are_unknown() -> None:
    """A second round may have a prefix of its own, or not."""
    calls = Calls().call(0, "add", "x", amount=1, returned=1)
    calls.past.all_join(4, 4.1, step="second")
    verdict = calls.call(1, "add", "x", amount=1, returned=1, at=(5, 6)).judged()
    assert (verdict.status, "had several rounds" in verdict.because) == (ERROR, True)


def test_num_keys_of_several_servers_is_unknown() -> None:
    """The second server has none of the keys of the first one."""
    calls = Calls().call(1, "set", "x", value="1")
    calls.past.join(0, 2.5, 2.6, life=2)
    assert status(calls.call(1, "num_keys", returned=0), strict=True) == ERROR


@pytest.mark.parametrize(("rank", "verb", "begin"), [(0, "get", 5), (1, "drop", 5), (0, "drop", 0.0005)])
def test_a_master_that_fails_to_join_again_serves_on(rank: int, verb: str, begin: float) -> None:
    """Unless it had let its server go: itself, and after its first join."""
    calls = Calls().call(0, "add", "x", amount=1, returned=1).call(1, "add", "x", amount=1, returned=2)
    calls.past.call(rank, verb, begin, begin + 0.0001).join(0, 6, 6.1, "failed", step="again")
    assert status(calls) == PASSED


@pytest.mark.parametrize("verb", ["drop", "shutdown"])
def test_a_master_that_let_its_server_go_and_fails_to_join_again_may_have_served_anew(verb: str) -> None:
    """Whether its second join returned does not matter: a server may have been there meanwhile."""
    calls = Calls().call(0, "add", "x", amount=1, returned=1).call(1, "add", "x", amount=1, returned=2)
    calls.past.call(0, verb, 5, 5.1).join(0, 6, 6.1, "failed", step="again")
    assert status(calls) == ERROR


def test_a_drop_that_was_skipped_lets_nothing_go() -> None:
    """It never began."""
    calls = Calls().call(0, "add", "x", amount=1, returned=1).call(1, "add", "x", amount=1, returned=2)
    calls.past.call(0, "drop", None, 5, "skipped").join(0, 6, 6.1, "failed", step="again")
    assert status(calls) == PASSED
