"""The deadline: histories it accepts, and histories it rejects."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from pasts import SECOND, Past, scenario

from harness.checkers.deadline import Deadline
from harness.history.timed_calls import timed_call, timed_calls
from harness.scenario.moment import START
from harness.scenario.scenario import Fault, HandlerConfig, RankSpec, Scenario
from harness.values.history import History
from harness.values.quantity import SLACK_NS
from harness.values.stall import WAITED
from harness.values.verdict import ERROR, FAILED, PASSED, VACUOUS, Verdict

RULE = Deadline.declaration.summary


def judged(history: History, plan: Scenario | None = None, **parameters: Any) -> Verdict:
    return Deadline().check(plan or scenario(), history, {"slack": SECOND, **parameters})


def test_calls_within_timeout_and_slack_are_accepted() -> None:
    """Told 2 s, slack 1 s."""
    past = Past(2).join(0, 0, 3.0, "failed").join(1, 0, 1).call(1, "get", 1, 4, handler="main")
    assert judged(past.whole()) == Verdict("deadline", PASSED, "3 calls ended in time", RULE)


def test_a_wait_is_held_to_its_own_timeout() -> None:
    """Given beside it, it wins over the store's."""
    past = Past(2).all_join().call(1, "wait", 1, 8.5, arguments={"key": "x", "timeout": 8 * SECOND}, handler="main")
    assert judged(past.whole()).status == PASSED


def test_sleeps_and_dead_callers_are_not_judged() -> None:
    """A sleep has no timeout; a process that died cannot be late."""
    past = Past(2).join(0, 0, 9, "died").call(1, "sleep", 0, 9).call(1, "bind", 10, 20)
    assert judged(past.whole()) == Verdict("deadline", VACUOUS, "no call with a timeout ended", RULE)


def pausing(*ranks: int) -> Scenario:
    """A cell with a fault that suspends these ranks."""
    return replace(scenario(), faults=(Fault("pause", "pause", ranks, {}, suspends_ranks=True),))


def test_time_for_which_the_caller_was_paused_does_not_count() -> None:
    """A stopped process cannot keep a deadline; a fault that suspends no rank is no excuse."""
    past = Past(2).join(0, 0, 1).join(1, 0, 8).fault("pause", 0.5, 6.0, kind="pause", ranks=(1,))
    assert judged(past.whole(), pausing(1)).status == PASSED
    assert judged(past.whole()).status == FAILED


def test_two_pauses_at_one_time_count_once() -> None:
    """Neither the bound nor the time to the error may profit twice."""
    faults = tuple(Fault(name, "pause", (1,), {}, suspends_ranks=True) for name in ("one", "two"))
    past = Past(2).join(1, 0, 8, "failed").fault("one", 0.5, 4, kind="pause").fault("two", 1, 4.5, kind="pause")
    plan = replace(scenario(), faults=faults)
    assert judged(past.whole(), plan).status == FAILED
    assert [one.elapsed_ns for one in timed_calls(plan, past.whole())] == [4 * SECOND]


def test_a_pause_makes_no_call_early() -> None:
    """It asked for 2 s and ended after 2.2 s, of which it was stopped for one."""
    past = Past(2).join(1, 0, 2.2, "failed").fault("pause", 0.5, 1.5, kind="pause")
    assert [one.elapsed_ns for one in timed_calls(pausing(1), past.whole())] == [2 * SECOND]


def test_a_timeout_handed_on_raw_is_the_one_that_counts() -> None:
    """`config: {timeout: "6"}` is what the subject saw."""
    spec = RankSpec(
        START, {}, False, {"main": HandlerConfig(0, 2, "train", 2 * SECOND, config={"timeout": "6"})}, 20 * SECOND
    )
    plan = scenario()
    plan = replace(plan, world=replace(plan.world, ranks=(spec, spec)))
    assert judged(Past(2).join(0, 0, 6.5, "failed").whole(), plan).status == PASSED


def test_a_late_join_is_rejected() -> None:
    """F12: the timeout was 2 s, and it returned after 5.1 s."""
    past = Past(2).join(0, 0, 1).join(1, 0, 5.1, "failed")
    assert judged(past.whole()) == Verdict(
        "deadline",
        FAILED,
        "rank 1's join raised DistNetworkError after 5.10 s, allowed 2.00 s and a slack of 1.00 s",
        RULE,
        "raised DistNetworkError after 5.10 s",
        (3, 5),
    )


@pytest.mark.parametrize("verb", ["get", "add", "check", "compare_set", "wait", "num_keys", "queue_pop", "same_bytes"])
def test_a_late_store_call_is_rejected(verb: str) -> None:
    """F02: the store's timeout is its handler's."""
    past = Past(2).all_join().call(1, verb, 1, 4.5, handler="main")
    assert judged(past.whole()).status == FAILED


def test_a_hang_is_rejected_and_points_to_its_stacks() -> None:
    """It was ended by its guard, long after its deadline."""
    past = Past(2).join(0, 0, 9, "hung").ends(0, None, 9.1, signal=9, by="guard", stacks="stacks/rank-0.life-1.txt")
    because = "rank 0's join hung after 9.00 s, allowed 2.00 s and a slack of 1.00 s; stacks: stacks/rank-0.life-1.txt"
    assert judged(past.whole()).because == because


def test_another_rank_s_pause_is_no_excuse() -> None:
    """F03: the master is frozen, the worker must not wait for it."""
    past = Past(2).join(0, 0, 1).join(1, 0, 8, "failed").fault("pause", 0.5, 6.0, kind="pause", ranks=(0,))
    assert judged(past.whole(), pausing(0)).status == FAILED


def test_the_slack_can_be_chosen() -> None:
    """Half a second late is too late with a slack of 100 ms."""
    history = Past(2).join(0, 0, 2.5).whole()
    assert judged(history).status == PASSED
    assert judged(history, slack=SECOND // 10).status == FAILED


def test_a_deadline_missed_by_less_than_the_lateness_is_kept_and_told() -> None:
    """Of every part that took part, in the time of the call."""
    past = Past(2).join(0, 0, 3.12, lag=0.05).join(1, 0, 1, lag=0.04)
    past = past.stall(1, 1.02, how=WAITED).stall(2, 2.03, "the name server on rank 0", WAITED)
    verdict = judged(past.stall(9, 9.5, "the zygote", WAITED).whole())
    assert verdict == Verdict(
        "deadline",
        PASSED,
        "2 calls ended in time; rank 0's join returned after 3.12 s, allowed 2.00 s and a slack of"
        " 1.00 s; missed by 120 ms, and rank 0 waited 50 ms, rank 1 40 ms, the name server on rank 0 30 ms and 1 more"
        " 20 ms for a processor",
        RULE,
        "returned after 3.12 s",
        (2, 7),
        granted_ns=120_000_000,
    )


def test_a_deadline_missed_by_more_than_the_lateness_is_broken() -> None:
    """By a hundredth of a second."""
    assert judged(Past(2).join(0, 0, 3.06, "failed", lag=0.05).whole()).status == FAILED


def test_a_deadline_missed_by_more_than_a_stop_may_be_its_fault() -> None:
    """A back-off that it causes takes longer than itself; a stop that is long enough is lateness."""
    assert judged(Past(2).join(0, 0, 3.5, "failed").stall(1, 1.1).whole()).status == ERROR
    verdict = judged(Past(2).join(0, 0, 3.5, "failed").stall(1, 1.5).whole())
    assert (verdict.status, verdict.granted_ns) == (PASSED, SECOND // 2)
    assert verdict.because.endswith("missed by 500 ms, and the proxy server stood still for 500 ms")


def test_a_subject_that_burns_the_processor_has_no_excuse() -> None:
    """Two ranks on one processor, each of which runs half the time: they wait for each other."""
    past = Past(2).join(0, 0, 3.5, "failed", lag=1.75, cpu=1.75).join(1, 0, 3.5, "failed", lag=1.75, cpu=1.75)
    assert judged(past.whole()).status == FAILED
    assert judged(past.stall(1, 1.6, how=WAITED).whole()).status == FAILED


def test_a_call_is_given_with_all_times_that_judge_it() -> None:
    """What it was asked to keep, its bound, how long it took, and what was late."""
    history = Past(2).join(0, 0, 3.5, "failed", lag=0.2).join(1, 0, 2, "died").whole()
    plan = scenario()
    dead, timed = timed_call(plan, history, history.calls[1]), timed_call(plan, history, history.calls[0])
    assert dead is None
    assert timed is not None
    assert (timed.timeout_ns, timed.slack_ns, timed.bound_ns, timed.elapsed_ns) == (
        2 * SECOND, SLACK_NS, 2 * SECOND + SLACK_NS, 7 * SECOND // 2
    )  # fmt: skip
    assert (timed.lateness.total_ns, timed.call) == (SECOND // 5, history.calls[0])
    assert list(timed_calls(plan, history)) == [timed]


def test_lag_elsewhere_is_no_excuse() -> None:
    """It was measured long after the call had ended."""
    past = Past(2).join(0, 0, 3.02, "failed").lag(20.0, 0.05)
    assert judged(past.whole()).status == FAILED
