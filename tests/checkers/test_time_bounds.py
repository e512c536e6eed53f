"""Bounds of time: what lateness adds to them, and what it does not excuse."""

from __future__ import annotations

from typing import Any

import pytest
from pasts import SECOND, Past, scenario, step

from harness.checkers.claims import judge_claim
from harness.scenario.moment import AllMoments, FaultMoment, StepMoment, TimeMoment, WireMoment
from harness.scenario.scenario import AnyClaim, StepClaim
from harness.values.history import History
from harness.values.stall import WAITED
from harness.values.verdict import ERROR, FAILED, PASSED, Verdict

PLAN = scenario(step("join"))


def judged(history: History, **keys: Any) -> Verdict:
    return judge_claim(PLAN, history, StepClaim("claimed", ("join",), **keys))


def seconds(lower: float | None, upper: float) -> tuple[int | None, int]:
    return (None if lower is None else round(lower * SECOND), round(upper * SECOND))


def test_an_upper_bound_is_longer_by_the_lateness_that_was_measured() -> None:
    """Missed by less, it holds, and the verdict tells by how much and what was late."""
    history = Past(2).join(1, 0, 4.05, lag=0.05).whole()
    verdict = judged(history, ranks=(1,), within=seconds(None, 4))
    assert verdict == Verdict(
        "claimed",
        PASSED,
        "rank 1's join returned after 4.05 s; rank 1's join returned after 4.05 s, allowed at most 4.00 s;"
        " missed by 50 ms, and rank 1 waited 50 ms for a processor",
        "ok or failed, within at most 4.00 s",
        "returned after 4.05 s",
        (2, 3),
        granted_ns=SECOND // 20,
    )


def test_an_alternative_that_surely_holds_is_the_one_that_is_told() -> None:
    """Whichever is written first: a `known` entry must not read a claim that holds as one that needed the lateness."""
    quick = StepClaim("quick", ("join",), ranks=(1,), within=seconds(None, 4))
    returned = StepClaim("returned", ("join",), outcomes=("ok",))
    history = Past(2).join(0, 0, 1).join(1, 0, 4.01, lag=0.1).whole()
    for claims in ((quick, returned), (returned, quick)):
        verdict = judge_claim(PLAN, history, AnyClaim("either", claims))
        assert (verdict.status, verdict.granted_ns) == (PASSED, 0)


def test_a_bound_missed_by_more_than_the_lateness_is_failed() -> None:
    """The lateness cannot explain it."""
    history = Past(2).join(1, 0, 4.1).lag(2, 0.05).whole()
    assert judged(history, ranks=(1,), within=seconds(None, 4)).status == FAILED
    assert (
        judged(Past(2).join(1, 0, 4.2).stall(1, 1.1, how=WAITED).whole(), ranks=(1,), within=(None, 4 * SECOND)).status
        == FAILED
    )


def test_a_bound_missed_because_the_ranks_themselves_ran_is_failed() -> None:
    """A rank that burns the processor while it waits makes others wait too; that is the subject's own doing."""
    burning = Past(2).join(0, 0, 4, lag=2, cpu=2).join(1, 0, 4.1, lag=2, cpu=2).whole()
    assert judged(burning, ranks=(1,), within=seconds(None, 4)).status == FAILED
    starved = Past(2).join(0, 0, 4, lag=2, cpu=0.1).join(1, 0, 4.1, lag=2, cpu=0.1).whole()
    assert judged(starved, ranks=(1,), within=seconds(None, 4)).status == PASSED


@pytest.mark.parametrize("lag", [0.05, 3.0])
def test_no_wait_for_a_processor_makes_a_call_too_early(lag: float) -> None:
    """Both ends of a time from its own begin are its own process's: lateness only makes it longer."""
    past = Past(2).join(1, 0, 4.02, lag=lag).lag(4, lag).stall(1, 1 + lag, how=WAITED)
    verdict = judged(past.whole(), ranks=(1,), within=seconds(4.05, 5))
    assert (verdict.status, verdict.because) == (
        FAILED,
        "rank 1's join returned after 4.02 s, allowed 4.05 to 5.00 s",
    )


def test_a_stop_may_end_a_call_early() -> None:
    """What it makes another process do, such as giving up, may end it."""
    past = Past(2).join(1, 0, 4.02).stall(1, 1.1)
    assert judged(past.whole(), ranks=(1,), within=seconds(4.05, 5)).status == ERROR


def test_early_after_another_rank_s_end_is_excused_by_how_late_that_was_recorded() -> None:
    """Rank 0 wrote its end down at 3 s, and had waited 100 ms for a processor."""
    since = {"since": StepMoment("join", (0,)), "ranks": (1,)}

    def early(by: float, **measured: float) -> Verdict:
        history = Past(2).join(0, 0, 3, **measured).join(1, 0, 4 - by, lag=0.5).whole()
        return judged(history, within=seconds(1, 2), **since)

    verdict = early(0.05, lag=0.1)
    assert (verdict.status, verdict.granted_ns) == (PASSED, SECOND // 20)
    assert verdict.because.endswith(
        "allowed 1.00 to 2.00 s; early by 50 ms, and join of rank 0 ended may have been recorded 100 ms late"
    )
    assert early(0.15, lag=0.1).status == FAILED
    assert early(0.05, lag=0.1, cpu=0.1).status == FAILED
    assert early(0.05).status == FAILED


def test_what_is_never_recorded_late_excuses_nothing_early() -> None:
    """A call's begin is written before it begins; a time of the clock is nobody's record; a fault's begin is known."""
    past = Past(2).join(0, 0.5, 3, lag=1).join(1, 0, 1.4, lag=1).fault("cut", 0.5, 6).stall(0.1, 0.6, how=WAITED)
    for moment in (StepMoment("join", (0,), state=("begun",)), TimeMoment(SECOND // 2), FaultMoment("cut")):
        assert judged(past.whole(), ranks=(1,), within=seconds(1, 2), since=moment).status == FAILED


def test_early_after_a_message_is_excused_by_what_was_late_just_before_it() -> None:
    """The proxy server writes a message down after it has passed."""
    message = WireMoment("query", "set")

    def early(*stall: float) -> str:
        past = Past(2).join(1, 0, 3.95).wire(3, message).stall(*stall, how=WAITED)
        return judged(past.whole(), ranks=(1,), within=seconds(1, 2), since=message).status

    assert early(2.9, 3.0) == PASSED
    assert early(1.0, 1.1) == FAILED


def test_early_after_a_process_s_end_is_excused_by_how_late_the_controller_saw_it() -> None:
    """It writes that end down."""
    past = Past(2).join(1, 0, 3.95).ends(0, 2, 3)
    keys = {"ranks": (1,), "within": seconds(1, 2), "since": StepMoment("exit", (0,))}
    assert judged(past.whole(), **keys).status == FAILED
    past = Past(2).join(1, 0, 3.95).ends(0, 2, 3).stall(2.9, 3, "the controller", WAITED)
    assert judged(past.whole(), **keys).status == PASSED


def test_of_several_moments_the_latest_may_have_been_recorded_late() -> None:
    """The others had come before."""
    past = Past(2).join(0, 0, 3, lag=0.1).join(1, 0, 3.95).fault("cut", 2, 6)
    both = AllMoments((StepMoment("join", (0,)), FaultMoment("cut")))
    assert judged(past.whole(), ranks=(1,), within=seconds(1, 2), since=both).status == PASSED
    later = Past(2).join(0, 0, 2, lag=0.1).join(1, 0, 3.95).fault("cut", 3, 6)
    assert judged(later.whole(), ranks=(1,), within=seconds(1, 2), since=both).status == FAILED


def test_a_count_that_holds_with_the_lateness_measured_is_met() -> None:
    """Each call that only lateness lets hold may count, and may not."""
    past = Past(2).join(0, 0, 1).join(1, 0, 2.01, lag=0.1)
    for count, granted in (((2, 2), SECOND // 100), ((1, 1), 0), ((1, 2), 0)):
        verdict = judged(past.whole(), within=seconds(None, 2), count=count)
        assert (verdict.status, verdict.granted_ns) == (PASSED, granted)
    for count in ((3, 3), (0, 0)):
        assert judged(past.whole(), within=seconds(None, 2), count=count).status == FAILED


def test_a_count_short_by_busy_calls_is_an_error() -> None:
    """Had no part stood still, it might have been met."""
    past = Past(2).join(0, 0, 1).join(1, 0, 2.5).stall(1.2, 1.3)
    assert judged(past.whole(), within=seconds(None, 2), count=(2, 2)).status == ERROR
    assert judged(past.whole(), within=seconds(None, 2), count=(3, 3)).status == FAILED
