"""Fresh join: histories it accepts, and histories it rejects."""

from __future__ import annotations

from dataclasses import replace

import pytest
from pasts import TIMEOUT, Past, scenario

from harness.checkers.fresh_join import SHORTEST_NS, FreshJoin
from harness.scenario.scenario import Scenario
from harness.values.history import History
from harness.values.verdict import ERROR, FAILED, PASSED, VACUOUS, Verdict

RULE = FreshJoin.declaration.summary
PLAN = scenario(size=3, run_ids={"second": "again"})


def judged(history: History, plan: Scenario = PLAN) -> Verdict:
    return FreshJoin().check(plan, history, {})


def split(past: Past | None = None, begin: float = 1.0, **keys: object) -> Past:
    """All begin to join; rank 2 gives up."""
    past = Past(3) if past is None else past
    past.join(0, begin, begin + 0.1, **keys).join(1, begin + 0.1, begin + 0.15, **keys)
    return past.join(2, begin + 0.2, begin + 2.2, "failed", error=TIMEOUT, **keys)


def test_all_return() -> None:
    """The plain case."""
    assert judged(Past(3).all_join().whole()) == Verdict("fresh_join", PASSED, "1 run joined by all ranks", RULE)


def test_a_rank_that_gives_up_is_rejected() -> None:
    """Everybody was there."""
    because = (
        "rank 2's join raised DistStoreError after 2.00 s, though all 3 ranks had begun to join, undisturbed:"
        " 1/2 clients joined"
    )
    assert judged(split().whole()) == Verdict(
        "fresh_join", FAILED, because, RULE, "raised DistStoreError after 2.00 s", (6, 7)
    )


def test_an_error_without_a_message_is_named_by_its_class() -> None:
    """There is nothing to quote."""
    past = Past(3).join(0, 0, 0.1).join(1, 0, 0.1).join(2, 0, 2, "failed", error=replace(TIMEOUT, message=""))
    assert judged(past.whole()).because.endswith("all 3 ranks had begun to join, undisturbed")


def test_each_rank_that_gives_up_is_a_violation_of_its_own() -> None:
    """Nobody returned."""
    assert len(judged(Past(3).all_join(outcome="failed").whole()).violations) == 3


def test_a_rank_that_hangs_is_rejected() -> None:
    """Its guard ended it."""
    assert judged(Past(3).join(0, 0, 0.1).join(1, 0, 0.1).join(2, 0, 9, "hung").whole()).status == FAILED


def test_a_new_run_after_faults_that_were_healed_is_judged() -> None:
    """Fresh connections, and nothing in the way any more: the end of every random run."""
    past = Past(3).fault("cut", 0.01, 0.5).join(0, 0.02, 0.4, "failed").join(1, 0.02, 0.4, "failed")
    assert judged(past.so_far()).because == "no world began to join at once and undisturbed"
    again = {"run_id": "again", "handler": "second", "step": "again"}
    assert judged(split(past, **again).whole()).because.startswith("rank 2's again raised DistStoreError")


@pytest.mark.parametrize(
    "past",
    [
        Past(3).fault("cut", 0.5, None, ranks=(2,)),
        Past(3).fault("cut", 2.0, 2.1, ranks=(1,)),
        Past(3).fault("frozen", 0.5, 1.2, ranks=(0,), kind="pause"),
        Past(3).fault("port", 0.5, None, ranks=(), kind="occupy_port"),
        Past(3).ends(0, 1.3, 1.4),
        Past(3).call(0, "shutdown", 1.3, 1.4),
        Past(3).call(0, "shutdown", 1.3, None, thread="other"),
        Past(3).call(1, "exit", 1.2, 1.2, thread="other"),
        Past(3).call(1, "set_closed", 0.5, 0.6),
        Past(3).call(0, "fork_child", 0.5, 0.6),
        Past(3).call(1, "bind", 0.5, 0.6),
        Past(3).join(1, 0.1, 0.2, "failed", step="first"),
        Past(3).join(1, 0.1, 0.2, as_rank=0, run_id="another", step="first"),
    ],
)
def test_what_stood_in_the_way_excuses(past: Past) -> None:
    """A fault, a process or a handler that went, a closed run, a held port, an earlier join, another master."""
    assert judged(split(past).whole()).status == VACUOUS


@pytest.mark.parametrize(
    "past",
    [
        Past(3).join(0, 1, 3, "failed").join(1, 1, 3, "failed"),
        Past(3).join(0, 1, 3, "failed").join(1, 1, 3, "failed").join(2, 1, 3, "failed", as_rank=1),
        Past(3).join(0, 1, 3, "failed").join(1, 1, 3, "failed").join(2, 1, 3, "failed", as_rank=7),
        Past(3).join(0, 1, 3, "failed").join(1, 1, 3, "failed").join(2, 1, 3, "failed", as_rank=None),
        Past(4).join(0, 1, 3, "failed", world_size=2).join(3, 1, 3, "failed", as_rank=1, world_size=2),
        Past(3).join(0, 1, 3, "failed").join(1, 1, 3, "failed").join(2, 1, 3, "failed", world_size=4),
        Past(3).join(0, 1, 3, "failed").join(1, 1, 3, "failed").join(2, 2.0, 4, "failed"),
        Past(3).join(0, 1, 3, "failed").join(1, 1, 3, "failed").join(2, 1.0, 1.5, "died"),
        Past(3).join(0, 1, 3, "failed").join(1, 1, 3, "failed").join(2, 1.0, 3, "failed", lag=0.9),
    ],
)
def test_a_world_that_is_not_whole_at_once_is_not_judged(past: Past) -> None:
    """A missing, doubled, strange, unknown, unplanned, wrong, late, dead rank; one that hardly got a processor."""
    assert judged(past.whole()).status == VACUOUS


def test_settings_of_its_own_and_torchrun_are_not_judged() -> None:
    """Another port, another rank than the file says; agents."""
    ranks = list(PLAN.world.ranks)
    for change in ({"port": 4}, {"host": "elsewhere"}, {"config": {"rank": "x"}}):
        main = replace(ranks[2].handlers["main"], **change)
        odd = replace(ranks[2], handlers={**ranks[2].handlers, "main": main})
        assert (
            judged(split().whole(), replace(PLAN, world=replace(PLAN.world, ranks=(*ranks[:2], odd)))).status == VACUOUS
        )
    assert judged(split().whole(), replace(PLAN, world=replace(PLAN.world, torchrun={}))).status == VACUOUS


def held_up(subject: str = "static-strict", hit: float = 0.9, until: float | None = 1.5) -> str:
    """Rank 2's first join, which may have been hit, goes on beside a new run, in which rank 2 gives up."""
    past = Past(3, subject=subject).fault("few", 0.01, hit, kind="file_limit", ranks=(0,)).join(2, 0.5, until, "failed")
    again = {"run_id": "again", "handler": "second", "step": "again", "thread": "other"}
    past.join(0, 1, 3, "failed", **again).join(1, 1, 3, "failed", **again)
    return judged(past.join(2, 1, 3, "failed", error=TIMEOUT, **again).whole()).status


def test_a_join_behind_one_that_a_fault_has_hit_is_a_limit_of_static_strict() -> None:
    """Its constructors run one after the other, also once the fault is healed."""
    assert held_up() == VACUOUS
    assert held_up(until=None) == VACUOUS
    assert held_up(subject="static") == FAILED
    assert held_up(hit=0.4) == FAILED
    assert held_up(until=0.95) == FAILED


def test_a_stop_of_a_part_of_the_harness_makes_it_an_error() -> None:
    """The proxy server stood still."""
    assert judged(split(Past(3).stall(0.5, 0.9)).whole()).status == ERROR


def test_what_was_let_go_before_or_by_others_excuses_nothing() -> None:
    """A handler of another run that was dropped before these joins, and by a process that is not of this run."""
    first = {"run_id": "first", "handler": "second", "step": "first"}
    assert (
        judged(split(Past(3).join(2, 0.1, 0.2, **first).call(2, "drop", 0.5, 0.6, handler="second")).whole()).status
        == FAILED
    )
    other = Past(4).join(3, 0.1, 0.2, as_rank=1, run_id="other", world_size=2).call(3, "drop", 1.1, 1.2)
    plan = scenario(size=4)
    assert judged(split(other, world_size=3).whole(), plan).status == FAILED


def test_only_a_join_beside_them_of_their_own_processes_holds_them_up() -> None:
    """Not one of a process that joins no part of this run, and not one that begins after them."""
    few = {"kind": "file_limit", "ranks": (3,)}
    past = Past(4, subject="static-strict").fault("few", 0.01, 0.9, **few)
    past.join(3, 0.5, 4, "failed", as_rank=1, run_id="other", world_size=2)
    assert judged(split(past, world_size=3).whole(), scenario(size=4)).status == FAILED
    past = Past(3, subject="static-strict").fault("few", 4, 5, kind="file_limit", ranks=(0,))
    late = {"run_id": "again", "handler": "second", "step": "again", "thread": "other"}
    assert judged(split(past).join(2, 3.5, 4.5, "failed", **late).whole()).status == FAILED


def test_short_and_unknown_timeouts_are_not_judged() -> None:
    """A join of 400 ms may end for lack of time; one without a timeout has none to keep."""
    for timeout_ns in (SHORTEST_NS * 4 // 5, None):
        ranks = [
            replace(one, handlers={"main": replace(one.handlers["main"], timeout_ns=timeout_ns or 0)})
            for one in PLAN.world.ranks
        ]
        history = Past(3).all_join(1.0, 1.5, outcome="failed").whole()
        ops = [
            replace(op, value={**op.value, "timeout_ns": timeout_ns})
            if op.f == "rendezvous" and op.type == "invoke"
            else op
            for op in history.ops
        ]
        plan = replace(PLAN, world=replace(PLAN.world, ranks=tuple(ranks)))
        assert judged(replace(history, ops=tuple(ops)), plan).status == VACUOUS
