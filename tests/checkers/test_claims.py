"""Claims: every key of an entry of `expect`, met and not met."""

from __future__ import annotations

from typing import Any

import pytest
from pasts import NETWORK, RUNTIME, SECOND, TIMEOUT, Past, scenario, step

from harness.checkers.claims import judge_claim, named_calls
from harness.scenario.moment import FaultMoment, StepMoment
from harness.scenario.scenario import AnyClaim, CheckClaim, StepClaim
from harness.values.history import History
from harness.values.ops import INVOKE, NEMESIS, ErrorInfo
from harness.values.verdict import ERROR, FAILED, PASSED, VACUOUS, Verdict

PLAN = scenario(step("join"), step("get", 1, do="get"), step("five", 1, do="get", times=5), step("late", 1, life=2))


def claim(*steps: str, **keys: Any) -> StepClaim:
    return StepClaim(name="claimed", steps=steps or ("join",), line=12, **keys)


def judged(history: History, *steps: str, **keys: Any) -> Verdict:
    return judge_claim(PLAN, history, claim(*steps, **keys))


def seconds(lower: float | None, upper: float) -> tuple[int | None, int]:
    return (None if lower is None else round(lower * SECOND), round(upper * SECOND))


# -- is ----------------------------------------------------------------------------------------------------------


def test_every_call_must_end_as_claimed() -> None:
    """The whole verdict of a claim that is met."""
    verdict = judged(Past(2).all_join().whole(), outcomes=("ok",))
    assert verdict == Verdict("claimed", PASSED, "2 calls are as claimed", "ok", line=12)


def test_one_call_that_ended_otherwise_breaks_the_claim() -> None:
    """The whole verdict of a claim that is not met: who, what, and the operations that prove it."""
    verdict = judged(Past(2).join(0, 0, 1).join(1, 0, 2, "failed").whole(), outcomes=("ok",))
    because = "rank 1's join raised DistNetworkError after 2.00 s: reset by peer, expected ok"
    assert verdict == Verdict("claimed", FAILED, because, "ok", "raised DistNetworkError after 2.00 s", (3, 5), line=12)


@pytest.mark.parametrize(
    ("outcome", "met"), [("ok", True), ("failed", True), ("died", False), ("skipped", False), ("hung", False)]
)
def test_without_is_a_call_must_end_by_itself(outcome: str, met: bool) -> None:
    """The default is `[ok, failed]`."""
    past = Past(2).join(0, 0, 1).join(1, None if outcome == "skipped" else 0, 1, outcome)
    assert (judged(past.whole()).status == PASSED) == met


@pytest.mark.parametrize("outcome", ["died", "skipped", "hung"])
def test_other_ends_are_met_where_they_are_claimed(outcome: str) -> None:
    """`died`, `skipped`, and in `instead` `hung`."""
    past = Past(2).join(1, None if outcome == "skipped" else 0, 1, outcome)
    assert judged(past.whole(), ranks=(1,), outcomes=(outcome,)).status == PASSED


def test_a_skipped_call_says_why() -> None:
    """A claim about a call that was skipped is not met."""
    past = Past(2).call(1, "get", None, 1, "skipped", value={"because": "rank 1 has no store"})
    assert (
        judged(past.whole(), "get").because == "rank 1's get was skipped (rank 1 has no store), expected ok or failed"
    )


def test_a_call_that_the_history_lacks_was_never_begun() -> None:
    """Not met either, unless the claim says `skipped`."""
    history = Past(2).join(0, 0, 1).whole()
    assert judged(history).because == "rank 1's join never began"
    assert judged(history, outcomes=("ok", "skipped")).status == PASSED


def test_a_hang_points_to_its_stacks() -> None:
    """Where the guard has left them."""
    past = Past(2).join(1, 0, 9, "hung").ends(1, None, 9.1, signal=9, by="guard", stacks="stacks/rank-1.life-1.txt")
    because = judged(past.whole(), ranks=(1,)).because
    assert because == "rank 1's join hung after 9.00 s, expected ok or failed; stacks: stacks/rank-1.life-1.txt"


def test_the_end_of_a_process_is_claimed_like_any_step() -> None:
    """`exit`: ok status 0, failed another, died a signal."""
    past = Past(2).ends(0, 1, 1.1, status=3).ends(1, None, 2, signal=9, by="fault kill")
    history = past.whole()
    assert judged(history, "exit", ranks=(0,), outcomes=("failed",)).status == PASSED
    assert judged(history, "exit", ranks=(1,), outcomes=("died",)).status == PASSED
    because = "rank 0's exit ended with status 3, expected ok (and 1 more)"
    assert judged(history, "exit", outcomes=("ok",)).because == because


# -- ranks, life, several steps ----------------------------------------------------------------------------------


def test_ranks_that_are_not_named_are_not_judged() -> None:
    """A claim about rank 0 does not speak of rank 1."""
    past = Past(2).join(0, 0, 1).join(1, 0, 2, "failed")
    assert judged(past.whole(), ranks=(0,), outcomes=("ok",)).status == PASSED


def test_several_steps_are_judged_as_one() -> None:
    """A list of names."""
    past = Past(2).all_join().call(1, "get", 1, 2, "failed")
    assert judged(past.whole(), "join", "get", outcomes=("ok",)).because.startswith("rank 1's get raised")


def test_the_last_life_that_has_the_step_counts() -> None:
    """The first died under a kill."""
    past = Past(2).join(0, 0, 1).join(1, 0, 0.5, "died").join(1, 2, 3, life=2)
    history = past.whole()
    assert judged(history, outcomes=("ok",)).status == PASSED
    assert judged(history, ranks=(1,), life=1, outcomes=("died",)).status == PASSED
    assert named_calls(PLAN, history, claim(ranks=(1,)))[0].life == 2


# -- count -------------------------------------------------------------------------------------------------------


def gets(*outcomes: str) -> History:
    past = Past(2).all_join()
    for number, outcome in enumerate(outcomes, 1):
        past.call(1, "five", number, number + 0.1, outcome, f="get", number=number)
    return past.whole()


def test_without_count_every_call_is_meant() -> None:
    """One of five failed."""
    assert judged(gets("ok", "ok", "failed", "ok", "ok"), "five", outcomes=("ok",)).status == FAILED


@pytest.mark.parametrize(("count", "met"), [((4, 4), True), ((1, 6), True), ((5, 5), False), ((0, 3), False)])
def test_a_count_is_how_many_calls_are_as_claimed(count: tuple[int, int], met: bool) -> None:
    """Four of five."""
    verdict = judged(gets("ok", "ok", "failed", "ok", "ok"), "five", outcomes=("ok",), count=count)
    assert (verdict.status == PASSED) == met


def test_a_count_that_is_not_met_says_what_was_wrong() -> None:
    """Too few: the message has the first that was not as claimed."""
    verdict = judged(gets("ok", "failed", "ok", "ok", "ok"), "five", outcomes=("ok",), count=(5, 5))
    assert verdict.because == (
        "4 of 5 calls of five are as claimed, expected 5:"
        " rank 1's five (call 2) raised DistNetworkError after 100 ms: reset by peer, expected ok"
    )


def test_calls_that_are_missing_break_a_claim_about_all() -> None:
    """Three of five."""
    assert judged(gets("ok", "ok", "ok"), "five").because == "rank 1's five was called 3 times, not 5"


# -- value -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("wanted", "got", "met"),
    [
        ("1", "1", True),
        ("1", "2", False),
        (1, True, False),
        (True, True, True),
        (None, None, True),
        ({"rank": 1}, {"rank": 1, "world_size": 2}, True),
        ({"rank": 1, "round": 1}, {"rank": 1}, False),
        ({"rank": 1}, "1", False),
        (["a", "b"], ["a", "b"], True),
        (["a"], ["a", "b"], False),
    ],
)
def test_a_value_is_compared_as_written(wanted: Any, got: Any, met: bool) -> None:
    """Of a mapping the keys given; true is not 1."""
    history = Past(2).call(1, "get", 0, 1, value=got).whole()
    assert (judged(history, "get", value=wanted).status == PASSED) == met


def test_a_wrong_value_is_shown() -> None:
    """What came, and what was claimed."""
    history = Past(2).call(1, "get", 0, 1, value="2").whole()
    assert judged(history, "get", value="1").because == "rank 1's get returned '2', expected '1'"


def test_one_of_several_values_is_enough() -> None:
    """A race may have either end."""
    history = Past(2).call(1, "get", 0, 1, value="2").whole()
    assert judged(history, "get", one_of=("1", "2")).status == PASSED
    assert judged(history, "get", one_of=("3", "4")).because == "rank 1's get returned '2', expected '3' or '4'"


def test_a_claim_about_a_value_does_not_speak_of_calls_that_raised() -> None:
    """`is: [ok, failed], value: "1"`: if it returns, then that."""
    history = Past(2).call(1, "get", 0, 1, "failed").whole()
    assert judged(history, "get", value="1").status == PASSED


# -- error and message -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("wanted", "error", "met"),
    [
        (("DistNetworkError",), NETWORK, True),
        (("DistError",), NETWORK, True),
        (("DistStoreError", "DistNetworkError"), TIMEOUT, True),
        (("DistStoreError",), NETWORK, False),
        (("DistError",), RUNTIME, False),
    ],
)
def test_an_error_is_of_the_class_or_of_one_of_its_bases(wanted: tuple[str, ...], error: ErrorInfo, met: bool) -> None:
    """One class or a list."""
    history = Past(2).join(1, 0, 1, "failed", error=error).whole()
    assert (judged(history, ranks=(1,), outcomes=("failed",), errors=wanted).status == PASSED) == met


def test_a_wrong_class_is_shown_with_its_message() -> None:
    """What a person needs to see."""
    history = Past(2).join(1, 0, 1, "failed", error=RUNTIME).whole()
    assert judged(history, ranks=(1,), errors=("DistError",)).because == (
        "rank 1's join raised RuntimeError: Connection refused, expected DistError"
    )


@pytest.mark.parametrize(
    ("texts", "met"),
    [
        (("connection REFUSED",), True),
        (("refused", "connection"), True),
        (("refused", "reset"), False),
        (("raised from",), False),
    ],
)
def test_all_texts_are_in_the_first_line(texts: tuple[str, ...], met: bool) -> None:
    """Case is ignored; what stands further down is no message."""
    history = Past(2).join(1, 0, 1, "failed", error=RUNTIME).whole()
    assert (judged(history, ranks=(1,), messages=texts).status == PASSED) == met


def test_templates_are_filled_in_with_what_the_rank_was_given() -> None:
    """The link's port, not the master's; also for later calls on the same handler's store."""
    said = ErrorInfo("DistNetworkError", ("DistNetworkError",), "run b: no answer from [::1]:40001 {now}")
    past = Past(2).join(1, 0, 1, "failed", error=said, run_id="b", endpoint="[::1]:40001")
    past.call(1, "get", 2, 3, "failed", error=said, handler="main")
    history = past.whole()
    texts = ("{host}", "{port}", "run {run_id}", "{now}")
    assert judged(history, ranks=(1,), messages=texts).status == PASSED
    assert judged(history, "get", messages=texts).status == PASSED
    verdict = judged(history, "get", messages=("port {port}",))
    assert verdict.because.startswith(
        "rank 1's get raised DistNetworkError without 'port 40001' in the first line of its message: run b"
    )


def test_templates_of_a_rank_that_never_joined_come_from_the_scenario() -> None:
    """What it would have been given."""
    said = ErrorInfo("ValueError", ("ValueError",), "127.0.0.1 train")
    history = Past(2).call(1, "get", 0, 1, "failed", error=said).whole()
    assert judged(history, "get", messages=("{host}", "{run_id}")).status == PASSED


# -- within ------------------------------------------------------------------------------------------------------


def test_a_call_within_its_bounds_is_met() -> None:
    """From 3 to 4 s, counted from its own begin."""
    past = Past(2).join(0, 1, 4.5).join(1, 2, 6)
    verdict = judged(past.whole(), within=seconds(3, 4))
    assert (verdict.status, verdict.expected) == (PASSED, "ok or failed, within 3.00 to 4.00 s")


def test_a_call_that_took_too_long_is_told_with_its_bounds() -> None:
    """The sentence a person reads."""
    history = Past(3).join(1, 0, 5.03).whole()
    assert judged(history, ranks=(1,), within=seconds(3, 4)).because == (
        "rank 1's join returned after 5.03 s, allowed 3.00 to 4.00 s"
    )


def test_a_call_that_ended_too_early_is_not_met() -> None:
    """An error too early is a bug too."""
    history = Past(2).join(1, 0, 1, "failed").whole()
    assert judged(history, ranks=(1,), within=seconds(2, 3)).because == (
        "rank 1's join raised DistNetworkError after 1.00 s, allowed 2.00 to 3.00 s"
    )


def test_without_a_lower_bound_any_haste_is_fine() -> None:
    """`within: 4s`."""
    history = Past(2).all_join().whole()
    assert judged(history, within=seconds(None, 4)).status == PASSED
    assert judged(history, within=seconds(None, 0.005)).because.startswith(
        "rank 0's join returned after 9 ms, allowed at most 5 ms (by 4 ms)"
    )


def test_since_counts_from_a_moment() -> None:
    """From when the fault was in place, not from the call's begin."""
    history = Past(2).join(1, 0, 5).fault("cut", 3, None).whole()
    keys = {"ranks": (1,), "since": FaultMoment("cut")}
    assert judged(history, within=seconds(1, 3), **keys).status == PASSED
    assert judged(history, within=seconds(0, 1), **keys).because == (
        "rank 1's join returned 2.00 s after cut injected, allowed 0 to 1.00 s"
    )


def test_ended_before_since_is_negative() -> None:
    """So a lower bound of 0 also says `not before`."""
    history = Past(2).join(1, 0, 2).fault("cut", 3, None).whole()
    keys = {"ranks": (1,), "since": FaultMoment("cut")}
    assert judged(history, within=seconds(0, 2), **keys).because == (
        "rank 1's join returned 1.00 s before cut injected, allowed 0 to 2.00 s"
    )
    assert judged(history, within=seconds(None, 2), **keys).status == PASSED


def test_what_a_fault_does_while_it_is_being_injected_is_not_too_early() -> None:
    """A killed process cuts its connections before it is seen to be gone; before the kill was sent is too early."""
    keys = {"ranks": (1,), "since": FaultMoment("cut"), "within": seconds(0, 1)}
    tried = {"step": "cut", "value": {"kind": "kill", "ranks": [0]}}
    during = Past(2).join(1, 0, 2.95)._own(2.9, NEMESIS, INVOKE, "inject", **tried).fault("cut", 3, None).whole()
    before = Past(2).join(1, 0, 2.85)._own(2.9, NEMESIS, INVOKE, "inject", **tried).fault("cut", 3, None).whole()
    assert (judged(during, **keys).status, judged(before, **keys).status) == (PASSED, FAILED)


def test_a_moment_that_never_came_cannot_be_counted_from() -> None:
    """Not met, and said so."""
    history = Past(2).all_join().whole()
    verdict = judged(history, ranks=(0,), within=seconds(0, 1), since=StepMoment("get"))
    reason = "but the moment get ended never came: the play was over after 31.00 s"
    assert verdict.because == f"rank 0's join returned after 9 ms, {reason}"


def test_a_skipped_call_has_no_time() -> None:
    """`is: [ok, skipped], within: 1s`: if it runs, then so fast."""
    history = Past(2).call(1, "get", None, 9, "skipped").whole()
    assert judged(history, "get", outcomes=("ok", "skipped"), within=seconds(0, 1)).status == PASSED


# -- checks and alternatives -------------------------------------------------------------------------------------


def test_a_check_has_the_claim_s_name_and_line() -> None:
    """Its verdict is the checker's."""
    verdict = judge_claim(PLAN, Past(2).all_join().whole(), CheckClaim("safe", "together", {}, line=7))
    assert (verdict.name, verdict.status, verdict.line) == ("safe", PASSED, 7)


def test_a_check_gets_its_parameters() -> None:
    """A slack of 0."""
    history = Past(2).join(0, 0, 2.5).whole()
    assert judge_claim(PLAN, history, CheckClaim("deadline", "deadline", {"slack": 0})).status == FAILED


def alternatives(*claims: StepClaim | CheckClaim) -> AnyClaim:
    return AnyClaim("either", claims, line=9)


REFUSED = StepClaim("refused", ("join",), outcomes=("failed",))
JOINED = StepClaim("joined", ("join",), outcomes=("ok",))


def test_one_alternative_must_hold_for_all_it_names() -> None:
    """All refused or all joined; not one of each."""
    both = alternatives(REFUSED, JOINED)
    assert judge_claim(PLAN, Past(2).all_join().whole(), both).status == PASSED
    assert judge_claim(PLAN, Past(2).all_join(outcome="failed").whole(), both).status == PASSED
    verdict = judge_claim(PLAN, Past(2).join(0, 0, 1).join(1, 0, 1, "failed").whole(), both)
    assert verdict == Verdict(
        "either",
        FAILED,
        "none of the 2 claims holds: refused: rank 0's join returned after 1.00 s, expected failed;"
        " joined: rank 1's join raised DistNetworkError after 1.00 s: reset by peer, expected ok",
        "failed or ok",
        "returned after 1.00 s; raised DistNetworkError after 1.00 s",
        (2, 4, 3, 5),
        9,
    )


def test_alternatives_that_may_have_held_are_an_error() -> None:
    """One of them was missed while a part of the harness stood still."""
    slow = StepClaim("quick", ("join",), ranks=(1,), within=seconds(None, 4))
    history = Past(2).join(0, 0, 1).join(1, 0, 4.5).stall(1, 1.1).whole()
    assert judge_claim(PLAN, history, alternatives(REFUSED, slow)).status == ERROR


def test_an_alternative_that_holds_with_the_lateness_measured_is_enough() -> None:
    """And is told."""
    slow = StepClaim("quick", ("join",), ranks=(1,), within=seconds(None, 4))
    verdict = judge_claim(PLAN, Past(2).join(0, 0, 1).join(1, 0, 4.01, lag=0.1).whole(), alternatives(REFUSED, slow))
    assert (verdict.status, verdict.granted_ns) == (PASSED, SECOND // 100)


def test_alternatives_with_nothing_to_judge_are_vacuous() -> None:
    """None of them had."""
    checks = alternatives(CheckClaim("store_reuse", "store_reuse", {}), CheckClaim("recovery", "recovery", {}))
    assert judge_claim(PLAN, Past(2).all_join().whole(), checks).status == VACUOUS
