"""Unaffected: histories it accepts, and histories it rejects."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from pasts import NETWORK, SECOND, Past, at, scenario

from harness.checkers.unaffected import Unaffected
from harness.scenario.scenario import Fault, Scenario
from harness.values.history import History
from harness.values.ops import INVOKE, NEMESIS, Op, Process
from harness.values.verdict import ERROR, FAILED, PASSED, VACUOUS, Verdict

RULE = Unaffected.declaration.summary
PLAN = scenario(size=3)


def judged(history: History, plan: Scenario = PLAN) -> Verdict:
    return Unaffected().check(plan, history, {})


def world(**begin: Any) -> Past:
    return Past(3, **begin).all_join()


def failing(past: Past, at: float = 1.0, **more: Any) -> History:
    """Rank 2's set fails."""
    return past.call(2, "set", at, at + 0.1, "failed", **more).whole()


def test_a_call_that_is_answered_at_once_is_ok() -> None:
    """The plain case; calls that wait are not judged."""
    past = world().call(2, "set", 1, 1.01).call(2, "get", 1.1, 3.2, "failed")
    assert judged(past.whole()) == Verdict("unaffected", PASSED, "1 undisturbed call ok within 1.00 s", RULE)


def test_a_call_that_fails_beside_anothers_fault_is_rejected() -> None:
    """Rank 1's link is cut, rank 2's is not."""
    verdict = judged(failing(world().fault("cut", 0.5, None)))
    because = "rank 2's set raised DistNetworkError after 100 ms, though no fault touched its rank or the master"
    assert verdict == Verdict("unaffected", FAILED, because, RULE, "raised DistNetworkError after 100 ms", (9, 10))


def test_each_call_is_a_violation_of_its_own() -> None:
    """Two calls, two violations, each with its own operations."""
    past = world().call(2, "set", 1, 1.1, "failed").call(0, "add", 2, 2.1, "failed", error=NETWORK)
    verdict = judged(past.whole())
    assert [(one.check, one.evidence) for one in verdict.violations] == [
        ("unaffected", (8, 9)),
        ("unaffected", (10, 11)),
    ]


def test_a_call_that_hangs_is_rejected() -> None:
    """Its guard ended it."""
    assert judged(world().call(2, "check", 1, 6, "hung").whole()).status == FAILED


def test_a_call_that_takes_longer_than_a_second_is_rejected() -> None:
    """Unless that is how late its processes were."""
    assert judged(world().call(2, "set", 1, 2.2).whole()).because.endswith("or the master, allowed 1.00 s")
    late = judged(world().call(2, "set", 1, 2.2, lag=0.3).whole())
    assert (late.status, late.granted_ns) == (PASSED, SECOND // 5)


@pytest.mark.parametrize(
    "past",
    [
        world().fault("cut", 0.5, None, ranks=(2,)),
        world().fault("cut", 0.5, 0.7, ranks=(2,)),
        world().fault("frozen", 0.5, 0.9, ranks=(0,), kind="pause"),
        world().fault("port", 0.5, None, ranks=(), kind="strangers"),
        world().fault("link", 0.5, None, ranks=()),
        world().fault("far", 0.5, None, ranks=(1,), kind="disconnect"),
        world().fault("new", 0.5, None, ranks=(1,), kind="a_fault_of_another_package"),
        world().ends(0, 0.5, 0.6),
        world().ends(0, 0.5, 3.0),
        world().call(0, "drop", 0.5, 0.6),
        world().call(0, "shutdown", 0.5, 3.0),
        world().call(2, "shutdown", 0.5, 0.6, value=True),
        world().join(2, 0.5, 2.0, "failed", step="again"),
        Past(3).join(0, 0.001, 0.01).join(2, 0.001, 0.01, "failed"),
        Past(3).join(0, 0.001, 0.01),
    ],
)
def test_what_stood_in_the_way_excuses(past: Past) -> None:
    """A fault on its rank, now or since the join; one on the master, the port, a link that is not known, a host; a
    master that is gone, or was asked to go; no store."""
    assert judged(failing(past)).status == VACUOUS


def test_a_handler_of_another_run_that_was_let_go_excuses_nothing() -> None:
    """The server serves on, as long as another handler of its process does."""
    for verb in ("drop", "shutdown"):
        past = world().call(0, verb, 0.5, 0.6, handler="second", run_id="again")
        assert judged(failing(past)).status == FAILED


def test_a_fault_that_was_healed_before_the_join_excuses_nothing() -> None:
    """Its connection is a new one."""
    past = Past(3).fault("cut", 0, 0.1, ranks=(2,)).all_join(0.2, 0.3)
    assert judged(failing(past)).status == FAILED


def test_what_comes_later_excuses_nothing() -> None:
    """The fault, and the master's end, came after the call."""
    past = world().fault("cut", 5, 6, ranks=(2,)).ends(0, 7, 7.1)
    assert judged(failing(past)).status == FAILED


def test_a_stop_of_a_part_of_the_harness_makes_it_an_error() -> None:
    """The proxy server stood still: the call says nothing about the subject."""
    assert judged(failing(world().stall(0.5, 0.9))).status == ERROR


def test_long_values_take_their_time() -> None:
    """Torch refuses 8 MiB, and the test is no benchmark."""
    assert judged(failing(world(), arguments={"key": "k", "value": "x" * 1_100_000})).status == VACUOUS
    given = {"key": "k", "hex": "00" * 1000, "repeat": 1000}
    assert judged(failing(world(), f="set_bytes", arguments=given)).status == VACUOUS


def test_a_worker_of_torchrun_is_not_judged() -> None:
    """Its agent holds the store."""
    plan = replace(PLAN, world=replace(PLAN.world, torchrun={}))
    assert judged(failing(world()), plan).status == VACUOUS


def test_an_add_to_text_is_a_limit_of_static_strict_and_a_failure_of_stock() -> None:
    """F45: torch's server ends the connection, so later calls fail too."""

    def past(subject: str) -> History:
        used = world(subject=subject).call(1, "set", 0.5, 0.6, arguments={"key": "k", "value": "text"})
        used.call(2, "add", 0.7, 0.8, "failed", arguments={"key": "k", "amount": 1})
        return failing(used)

    assert judged(past("static-strict")).because == "1 undisturbed call ok within 1.00 s"
    assert len(judged(past("static")).violations) == 2


def test_a_process_that_died_in_its_call_is_not_judged() -> None:
    """`no_crash` judges how it ended."""
    assert judged(world().call(2, "set", 1, 1.1, "died").whole()).status == VACUOUS


def test_the_join_of_a_call_is_the_last_one_before_it() -> None:
    """A join that comes later excuses nothing; during one it is not known which store a call of another thread has."""
    assert (
        judged(world().call(2, "set", 1, 1.1, "failed").join(2, 2, 3, "failed", step="again").whole()).status == FAILED
    )
    beside = world().join(2, 0.9, 1.05, step="again").call(2, "set", 1, 1.1, "failed", thread="other")
    assert judged(beside.whole()).status == VACUOUS


def test_what_ended_or_was_let_go_elsewhere_or_later_excuses_nothing() -> None:
    """Another worker ended, and the master's handler was dropped after the call."""
    assert judged(failing(world().ends(1, 0.5, 0.6))).status == FAILED
    assert judged(failing(world().call(0, "drop", 5, 5.1))).status == FAILED


def test_a_fault_on_another_link_excuses_nothing() -> None:
    """Also one of another package, if the scenario gives it a stream; that a fault beside it has one says nothing."""
    toxic = Fault("cut", "a_toxic", (1,), {}, stream="upstream")
    history = failing(world().fault("cut", 0.5, None, kind="a_toxic"))
    assert judged(history, replace(PLAN, faults=(toxic,))).status == FAILED
    assert judged(history, replace(PLAN, faults=(replace(toxic, name="other"),))).status == VACUOUS


@pytest.mark.parametrize(
    ("writer", "adder", "at"), [("add", 2, 0.7), ("set", 1, 0.7), ("set", 2, 5)], ids=["number", "other", "later"]
)
def test_only_its_own_add_to_text_ends_a_connection(writer: str, adder: int, at: float) -> None:
    """Not an add to a number, nor that of another rank, nor a later one."""
    past = world(subject="static-strict").call(1, "put", 0.5, 0.6, f=writer, arguments={"key": "k", "value": "text"})
    past.call(adder, "add", at, at + 0.1, arguments={"key": "k", "amount": 1}, value=1)
    assert judged(failing(past, 1.5)).status == FAILED


def test_what_never_began_excuses_nothing() -> None:
    """A fault that was refused before it was tried, and a drop that was skipped."""
    assert judged(failing(world().fault("cut", None, None, ranks=(2,)))).status == FAILED
    assert judged(failing(world().call(0, "drop", None, 0.5, "skipped"))).status == FAILED


def test_a_fault_disturbs_from_when_it_is_tried() -> None:
    """It came into force at some time between the two."""
    history = failing(world().fault("cut", 1.5, None, ranks=(2,)))
    assert judged(history).status == FAILED
    tried = Op(at(0.5), Process(None, NEMESIS), INVOKE, "inject", "cut", value={"kind": "blackhole", "ranks": [2]})
    assert judged(History.of([*history, tried])).status == VACUOUS
