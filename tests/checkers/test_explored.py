"""What `invariants` spares the checkers that judge more when a file asks for them by name."""

from __future__ import annotations

from dataclasses import replace

import pytest
from pasts import TIMEOUT, Past, scenario, step

from harness.checkers.base import CHECKERS, explored_invariants, standing_invariants
from harness.checkers.deadline import Deadline
from harness.checkers.linearizable import Linearizable
from harness.checkers.store_reuse import StoreReuse
from harness.checkers.together import Together
from harness.values.attribute import REQUIRED
from harness.values.history import History
from harness.values.verdict import ERROR, FAILED, PASSED, VACUOUS

PLAN = scenario(size=3)
ROSTER = {"returned": {"round": 1, "roster": ["a", "b", "c"]}}


def strict(**keys: object) -> Past:
    return Past(3, subject="static-strict").all_join(**keys)


def test_what_invariants_asks_is_listed() -> None:
    """A new one needs its guards against false reds, and its histories."""
    assert explored_invariants() == (
        *("add_once", "closing", "deadline", "error_contract", "fresh_join", "join_identity", "linearizable"),
        *("not_early", "store_reuse", "together", "unaffected"),
    )
    assert not set(explored_invariants()) & set(standing_invariants())


def test_what_invariants_asks_works_with_its_defaults() -> None:
    """Nobody gives it parameters."""
    given = [one for kind in explored_invariants() for one in CHECKERS[kind].declaration.attributes]
    assert all(one.default is not REQUIRED for one in given)


def test_an_empty_history_is_nothing_to_judge_for_each() -> None:
    """Never an exception for an odd history."""
    for kind in explored_invariants():
        assert CHECKERS[kind]().explore(PLAN, History()).status == VACUOUS, kind


# -- together ----------------------------------------------------------------------------------------------------------


def split(past: Past, **keys: object) -> Past:
    """Ranks 0 and 1 return, rank 2 raises."""
    past.join(0, 1, 1.5, **ROSTER, **keys).join(1, 1.1, 1.5, **ROSTER, **keys)
    return past.join(2, 1.2, 3.2, "failed", error=TIMEOUT, **keys)


def together(past: Past) -> str:
    return Together().explore(PLAN, past.whole()).status


def test_a_split_of_strict_ranks_is_rejected() -> None:
    """Also of a backend that is made from static-strict: its joins report who was in the round."""
    assert together(split(Past(3, subject="static-strict"))) == FAILED
    assert together(split(Past(3, subject="strict-timeout-is-halved"))) == FAILED
    assert together(strict()) == PASSED


def test_stock_does_not_promise_to_join_together() -> None:
    """Its clean join is a race (F33)."""
    past = Past(3).join(0, 1, 3, "failed").join(1, 1, 1.5).join(2, 1, 1.5)
    assert Together().explore(PLAN, past.whole()).status == VACUOUS
    assert Together().check(PLAN, past.whole(), {}).status == FAILED


@pytest.mark.parametrize(
    "past",
    [
        Past(3).fault("cut", 1.3, 1.4, ranks=(2,)),
        Past(3).fault("cut", 0.5, None, ranks=(0,)),
        Past(3).fault("frozen", 1.0, 1.2, ranks=(1,), kind="pause"),
        Past(3).fault("port", 0.5, 1.2, ranks=(), kind="strangers"),
        Past(3).ends(0, 1.6, 1.7),
        Past(3).ends(1, None, 2.0, signal=9, by="fault kill"),
        Past(3).call(0, "drop", 1.6, 1.7),
        Past(3).call(0, "shutdown", 1.6, 1.7, value=True),
        Past(3).call(1, "set_closed", 1.6, 1.7),
        Past(3).join(2, 0.5, 0.6, "failed", step="first"),
    ],
)
def test_two_generals_may_disagree(past: Past) -> None:
    """A message or a process may have been lost between the first claim and the last return, or a rank came twice."""
    assert together(split(past)) == PASSED


def test_a_fault_that_is_over_excuses_no_split() -> None:
    """Nothing of this round can have been lost."""
    assert together(split(Past(3).fault("cut", 0.1, 0.9, ranks=(2,)))) == FAILED


def test_a_rank_that_came_when_the_round_was_whole_is_no_split() -> None:
    """Rank 2 was doubled, and its second process begins after the others have returned."""
    past = Past(3).join(0, 1, 1.1, **ROSTER).join(1, 1, 1.1, **ROSTER)
    assert together(past.join(2, 1.2, 3.2, "failed")) == FAILED  # they returned without it
    past = Past(4, subject="static-strict")
    for rank in range(3):
        past.join(rank, 1, 1.1, world_size=3, **ROSTER)
    assert together(past.join(3, 1.2, 3.2, "failed", as_rank=2, world_size=3)) == PASSED


def test_only_a_whole_world_can_split() -> None:
    """All ranks of one world, each once, and all had begun before one returned; when a rank raised does not matter."""
    first = Past(3, subject="static-strict").join(2, 0.1, 0.5, "failed", error=TIMEOUT)
    assert together(first.join(0, 0.4, 1.5, **ROSTER).join(1, 1, 1.5, **ROSTER)) == FAILED
    for given in ({"as_rank": 1}, {"as_rank": None}, {"world_size": 4}):
        past = Past(3, subject="static-strict").join(0, 1, 1.5, world_size=2, returned={"world_size": 2})
        past.join(1, 1, 1.5, world_size=2, returned={"world_size": 2})
        assert together(past.join(2, 1, 3, "failed", **{"world_size": 2, **given})) == PASSED, given
    doubled = Past(3, subject="static-strict").join(0, 1, 1.5, returned={"world_size": 2})
    doubled.join(1, 1, 1.5, returned={"world_size": 2})
    assert together(doubled.join(2, 1, 3, "failed", as_rank=1)) == PASSED


def test_a_rank_that_came_later_is_no_split() -> None:
    """The others returned without it, which is a violation of each of them, and the only one."""
    past = Past(3, subject="static-strict").join(0, 1, 1.1, **ROSTER).join(1, 1, 1.1, **ROSTER)
    verdict = Together().explore(PLAN, past.join(2, 1.2, 3.2, "failed").whole())
    assert [one.because for one in verdict.violations] == [
        f"rank {rank}'s join returned before rank 2 had begun to join" for rank in (0, 1)
    ]


def test_without_a_return_there_is_nothing_to_judge() -> None:
    """All raised, which is all or none."""
    assert together(Past(3, subject="static-strict").all_join(outcome="failed")) == VACUOUS


def rounds_of_two(rank_1: Past) -> Past:
    """Ranks 0 and 2 return from two rounds; the others' joins are given."""
    for number, begin in ((1, 0.1), (2, 1.0)):
        for rank in (0, 2):
            rank_1.join(rank, begin, begin + 0.4, **whole_round(number))
    return rank_1


def test_a_rank_that_raised_in_one_round_may_be_counted_in_the_next() -> None:
    """Each time it was counted, and its link was cut before it could know: it tells no round. So for another life."""
    cut = Past(3, subject="static-strict").fault("cut", 0.2, 0.4, ranks=(1,)).fault("again", 1.2, 1.4, ranks=(1,))
    cut.join(1, 0.1, 0.5, "failed").join(1, 1, 1.5, "failed", step="next")
    assert together(rounds_of_two(cut)) == PASSED
    killed = Past(3, subject="static-strict").join(1, 0.1, 0.5, **whole_round(1))
    killed.ends(1, None, 0.7, signal=9, by="fault kill").fault("cut", 1.2, 1.4, ranks=(1,))
    assert together(rounds_of_two(killed.join(1, 0.8, 0.9, "failed", step="next", life=2))) == PASSED


def test_a_rank_that_raised_before_the_round_is_not_of_it() -> None:
    """What had ended when the first round returned cannot be for the second, nor can what returned from the first, or
    was for another run."""
    past = Past(3, subject="static-strict").fault("cut", 0.2, 0.4, ranks=(1,)).join(1, 0.1, 0.45, "failed")
    early = "rank 0's join-2 returned before rank 1 had begun to join (and 1 more)"
    assert Together().explore(PLAN, rounds_of_two(past).whole()).because == early
    returned = Past(3, subject="static-strict").join(1, 0.1, 0.6, **whole_round(1))
    assert Together().explore(PLAN, rounds_of_two(returned).whole()).because == early
    other = Past(3, subject="static-strict").fault("cut", 0.2, 0.4, ranks=(1,)).join(1, 0.1, 0.45, "failed")
    other.join(1, 1, 1.5, "failed", run_id="other")
    assert Together().explore(PLAN, rounds_of_two(other).whole()).because == early


def test_an_early_return_is_rejected_beside_any_fault() -> None:
    """No loss makes a rank that never came."""
    past = Past(3).fault("cut", 0.5, None, ranks=(2,)).join(0, 1, 1.5, **ROSTER).join(1, 1, 1.5, **ROSTER)
    assert together(past) == FAILED
    past.join(2, 0.8, 0.9, "failed", life=2)
    assert together(past) == PASSED


def whole_round(number: int) -> dict[str, object]:
    return {"returned": {"round": number, "roster": ["a", "b", "c"]}, "step": f"join-{number}"}


def test_a_round_that_returns_twice_is_rejected() -> None:
    """The second join waited for nobody; each handler's is a violation."""
    past = Past(3).all_join(**ROSTER).all_join(1, 1.1, **{**ROSTER, "step": "again"})
    verdict = Together().explore(PLAN, past.whole())
    assert len(verdict.violations) == 3
    assert verdict.because == "rank 0's again returned from round 1, as rank 0's join had (and 2 more)"
    assert together(Past(3).all_join(**whole_round(1)).all_join(1, 1.1, **whole_round(2))) == PASSED


@pytest.mark.parametrize(
    "between",
    [
        Past(3).all_join(**ROSTER).call(0, "shutdown", 0.5, 0.6, value=True),
        Past(3).all_join(**ROSTER).join(0, 0.5, 0.6, "failed", step="failing"),
        Past(3).all_join(**ROSTER).ends(0, None, 0.5, signal=9, by="fault kill").join(0, 0.6, 1.1, life=2, **ROSTER),
    ],
)
def test_a_run_that_was_opened_anew_counts_from_one(between: Past) -> None:
    """The master let its server go, or was started again."""
    assert together(between.join(1, 1, 1.1, **{**ROSTER, "step": "again"})) == PASSED


@pytest.mark.parametrize(
    "between",
    [
        Past(3).all_join(**ROSTER).join(1, 0.5, 0.6, "failed", step="failing"),
        Past(3).all_join(**ROSTER).ends(1, None, 0.5, signal=9, by="fault kill").join(1, 0.6, 0.9, life=2, **ROSTER),
    ],
)
def test_a_worker_that_raised_or_came_again_opens_nothing_anew(between: Past) -> None:
    """Only a master can: the second return of rank 2 from round 1 waited for nobody."""
    assert together(between.join(2, 1, 1.1, **{**ROSTER, "step": "again"})) == FAILED


def test_a_round_with_a_rank_that_was_dead_is_rejected() -> None:
    """Rank 1 had ended before rank 2 came, so it cannot have answered when all had."""
    past = Past(3).join(1, 0.1, 0.5, "died").ends(1, None, 0.5, signal=9, by="fault kill")
    past.join(0, 0.1, 1.2, **ROSTER).join(2, 1, 1.2, **ROSTER)
    verdict = Together().explore(PLAN, past.whole())
    because = "rank 0's join returned with rank 1, which had ended before all had come (and 1 more)"
    assert (verdict.status, verdict.because) == (FAILED, because)


def test_a_rank_that_died_after_all_had_come_may_have_answered() -> None:
    """And one that was started again in time has."""
    past = Past(3).join(1, 0.1, 1.1, "died").ends(1, None, 1.1, signal=9, by="fault kill")
    assert together(past.join(0, 0.1, 1.2, **ROSTER).join(2, 1, 1.2, **ROSTER)) == PASSED
    past = Past(3).join(1, 0.1, 0.5, "died").ends(1, None, 0.5, signal=9, by="fault kill")
    past.join(1, 0.8, 1.2, life=2, **ROSTER)
    assert together(past.join(0, 0.1, 1.2, **ROSTER).join(2, 1, 1.2, **ROSTER)) == PASSED


# -- deadline ----------------------------------------------------------------------------------------------------------


def slow(subject: str, kind: str) -> str:
    past = Past(3, subject=subject).all_join().fault("names", 0.5, None, kind=kind, ranks=(1,))
    return Deadline().explore(PLAN, past.call(1, "get", 1, 9).whole()).status


def test_look_ups_are_a_limit_of_static_strict_only() -> None:
    """F11: nothing bounds the look-ups that torch makes itself."""
    for kind in ("slow_resolver", "resolver_gone"):
        assert (slow("static-strict", kind), slow("static", kind)) == (VACUOUS, FAILED)
    assert slow("static-strict", "blackhole") == FAILED


def test_a_timeout_that_is_none_is_not_kept() -> None:
    """A join that refuses it at once is right to."""
    past = Past(3, subject="static-strict")
    past.call(1, "join", 1, 1.01, "failed", f="rendezvous", arguments={"rank": 1, "timeout_ns": -2_000_000_000})
    plan = scenario(step("join"), size=3)
    assert Deadline().check(plan, past.whole(), {}).status == FAILED
    assert Deadline().explore(plan, past.whole()).status == VACUOUS


# -- linearizable ------------------------------------------------------------------------------------------------------


def lost_write(subject: str) -> Past:
    past = Past(3, subject=subject).all_join().call(1, "set", 1, 1.1, arguments={"key": "k", "value": "1"})
    return past.call(2, "check", 1.2, 1.3, arguments={"keys": ["k"]}, value=False)


def linearizable(past: Past) -> str:
    return Linearizable().explore(PLAN, past.whole()).status


def test_a_write_of_static_strict_is_done_when_it_returns() -> None:
    """Stock's may come later (F09)."""
    assert linearizable(lost_write("static-strict")) == FAILED
    assert linearizable(lost_write("static")) == PASSED


@pytest.mark.parametrize(
    ("ranks", "kind", "status"),
    [
        ((1,), "x_drop_query", VACUOUS),
        ((2,), "x_drop_query", FAILED),
        ((1,), "x_drop_reply", FAILED),
    ],
)
def test_a_write_that_a_fault_dropped_on_the_way_is_a_limit(ranks: tuple[int, ...], kind: str, status: str) -> None:
    """F09: the connection goes on, and the server answers the request behind it. On other links nothing was lost."""
    past = Past(3, subject="static-strict").all_join().fault("dropped", 0.5, 2, kind=kind, ranks=ranks)
    past.call(1, "set", 1, 1.1, arguments={"key": "k", "value": "1"})
    assert linearizable(past.call(2, "check", 1.2, 1.3, arguments={"keys": ["k"]}, value=False)) == status


def test_a_dropped_write_excuses_no_other_key() -> None:
    """What rank 2 has lost is judged all the same."""
    past = lost_write("static-strict").fault("dropped", 2, None, kind="x_drop_query", ranks=(1,))
    past.call(2, "set", 3, 3.1, arguments={"key": "other", "value": "1"})
    assert linearizable(past.call(1, "check", 3.2, 3.3, arguments={"keys": ["other"]}, value=False)) == FAILED


def test_several_values_need_not_be_stored_at_once() -> None:
    """F47: torch's server stores them one after another."""
    past = strict().call(1, "multi_set", 1, 2, arguments={"values": {"a": "1", "b": "1"}})
    past.call(2, "check", 1.2, 1.3, arguments={"keys": ["a"]}, value=True)
    past.call(2, "again", 1.4, 1.5, f="check", arguments={"keys": ["b"]}, value=False)
    assert linearizable(past) == PASSED
    assert Linearizable().check(PLAN, past.whole(), {"strict": True}).status == FAILED


def test_a_call_with_a_reply_is_not_lost_by_a_drop() -> None:
    """Rank 1 was answered, so its query was not dropped: that the counter is missing then is a violation."""
    past = Past(3, subject="static-strict").all_join().fault("dropped", 0.5, 2, kind="x_drop_query", ranks=(1,))
    past.call(1, "add", 1, 1.1, arguments={"key": "n", "amount": 1}, value=1)
    assert linearizable(past.call(2, "check", 1.2, 1.3, arguments={"keys": ["n"]}, value=False)) == FAILED


def test_text_that_is_no_number_and_the_number_of_keys_are_judged() -> None:
    """Nothing is spared where nothing may be lost or wrap around."""
    past = strict().call(1, "set", 1, 1.1, arguments={"key": "k", "value": "text"})
    assert linearizable(past.call(2, "get", 1.2, 1.3, arguments={"key": "k"}, value="text")) == PASSED
    past = strict().call(1, "set", 1, 1.1, arguments={"key": "k", "value": "text"})
    assert linearizable(past.call(2, "num_keys", 1.2, 1.3, value=0)) == FAILED


def test_several_servers_are_not_judged() -> None:
    """Asked for by name it is unknown; nobody asked here."""
    past = lost_write("static-strict").ends(0, 2, 2.1).join(0, 3, 3.1, life=2)
    assert linearizable(past) == VACUOUS
    assert Linearizable().check(PLAN, past.whole(), {}).status == ERROR


def test_sums_that_wrap_around_are_a_limit_of_static_strict_only() -> None:
    """F46, also from a text that was set; other keys are judged."""

    def past(subject: str) -> Past:
        used = Past(3, subject=subject).all_join()
        used.call(1, "set", 1, 1.1, arguments={"key": "k", "value": str(2**63 - 1)})
        return used.call(1, "add", 1.2, 1.3, arguments={"key": "k", "amount": 1}, value=-(2**63))

    assert linearizable(past("static-strict")) == VACUOUS
    assert linearizable(past("static")) == FAILED
    other = {"key": "other", "value": "9" * 5000}
    beside = past("static-strict").call(1, "set", 1.4, 1.5, f="set", arguments=other, number=2)
    assert linearizable(beside.call(2, "check", 2, 2.1, arguments={"keys": ["third"]}, value=True)) == FAILED


# -- store_reuse -------------------------------------------------------------------------------------------------------


def two_sockets(past: Past | None = None, **second: object) -> Past:
    past = Past(2) if past is None else past

    def listens(inode: int, port: int = 29500) -> dict[str, object]:
        return {"listeners": [{"address": "::", "port": port, "inode": inode}], "opened": [inode]}

    past.join(0, 1, 1.1, returned=listens(7))
    return past.join(0, 2, 2.1, step="again", returned=listens(8, 29501 if "endpoint" in second else 29500), **second)


def reuse(past: Past) -> str:
    return StoreReuse().explore(scenario(), past.whole()).status


def test_a_second_socket_is_rejected() -> None:
    """Two joins of one master, one after another."""
    assert reuse(two_sockets()) == FAILED


def test_a_server_that_was_let_go_is_replaced() -> None:
    """And another port needs another socket; nothing is known of a master that failed to join."""
    assert reuse(two_sockets(Past(2).call(0, "drop", 1.5, 1.6))) == VACUOUS
    assert reuse(two_sockets(Past(2).call(0, "shutdown", 1.5, 1.6))) == VACUOUS
    assert reuse(two_sockets(Past(2).join(0, 1.5, 1.6, "failed", step="failing"))) == VACUOUS
    assert reuse(two_sockets(endpoint="127.0.0.1:29501")) == VACUOUS


def test_who_else_joined_excuses_no_second_socket() -> None:
    """A worker that failed to join serves nothing; under torchrun the agent serves."""
    assert reuse(two_sockets(Past(2).join(1, 0.5, 0.6, "failed", step="failing"))) == FAILED
    plan = replace(scenario(), world=replace(scenario().world, torchrun={}))
    assert StoreReuse().explore(plan, two_sockets().whole()).status == VACUOUS
