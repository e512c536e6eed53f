"""A comparison of a finding against results that are made up: how much it plays, and what it says in the end."""

from __future__ import annotations

from collections.abc import Callable

from pasts import Past
from stored_findings import draft

from harness.explore.comparison import (
    ENOUGH_IF_MIXED,
    PLAYS,
    PLAYS_WITHOUT_FAULTS,
    SIDE_BY_SIDE,
    Comparison,
    Side,
    other_subjects,
)
from harness.explore.draft import Draft
from harness.explore.finding import Tried
from harness.judge.result import Result
from harness.values.verdict import ERROR, FAILED, PASSED, VACUOUS, Judgement, Verdict

FAULTY = draft(faults=[{"id": "cut", "inject": "down", "ranks": 1, "after": {"step": "join", "is": "begun"}}])
Status = Callable[[Side], str]


def result(draft: Draft, status: str, broken: tuple[str, ...] = ("join",)) -> Result:
    verdicts = tuple(Verdict(name, FAILED, "", "") for name in broken) if status == FAILED else ()
    history = Past(2, "static", "2.15.0").whole()
    return Result(draft.scenario, Judgement(status, "", verdicts), history, None, 0.1)


def compared(
    status: Status, found: Draft = FAULTY, others: tuple[str, ...] = ("static-strict",)
) -> tuple[Comparison, int]:
    """Let one play, and count its plays."""
    comparison, plays = Comparison("a-cause", found, "static", others), 0
    while (side := comparison.next()) is not None:
        side.learn(result(side.draft, status(side)))
        plays += 1
    assert comparison.is_done
    return comparison, plays


def test_both_backends_of_the_harness_are_compared_with_each_other() -> None:
    """Any other subject is compared with itself without faults only."""
    assert (other_subjects("static"), other_subjects("static-strict")) == (("static-strict",), ("static",))
    assert other_subjects("echo") == ()


def test_what_fails_each_time_is_played_20_times_with_what_it_breaks() -> None:
    """And without the faults, with the subject that failed, five times."""
    comparison, plays = compared(lambda side: FAILED if side.draft.document.get("faults") else PASSED)
    assert comparison.tried == (Tried("static-strict", "2.15.0", PLAYS, PLAYS, ("join",)),)
    assert comparison.without_faults == Tried("static", "2.15.0", 0, PLAYS_WITHOUT_FAULTS)
    assert plays == PLAYS + PLAYS_WITHOUT_FAULTS


def test_what_is_mixed_ends_early() -> None:
    """It can neither be known nor hold."""
    statuses = iter([FAILED, PASSED, *[FAILED] * 100])
    comparison, _ = compared(lambda side: next(statuses), draft())
    assert comparison.tried == (Tried("static-strict", "2.15.0", ENOUGH_IF_MIXED - 1, ENOUGH_IF_MIXED, ("join",)),)


def test_a_finding_without_faults_has_no_twin() -> None:
    """It would be the same scenario."""
    comparison, plays = compared(lambda side: PASSED, draft())
    assert (comparison.without_faults, plays) == (None, PLAYS)


def test_plays_that_say_nothing_are_no_try() -> None:
    """After four of them the side is left; those of the other side count."""
    comparison, plays = compared(lambda side: VACUOUS if side.subject else PASSED)
    assert (comparison.tried, plays) == ((), 4 + PLAYS_WITHOUT_FAULTS)
    assert comparison.without_faults is not None
    silent = iter([ERROR] * 3)
    comparison, _ = compared(lambda side: next(silent, PASSED), draft())
    assert comparison.tried == (Tried("static-strict", "2.15.0", 0, PLAYS),)


def test_different_broken_claims_cannot_be_known() -> None:
    """An entry of `known` names exactly what breaks."""
    side = Side(draft(), "static-strict", PLAYS)
    for broken in ("join",), ("join", "no_hang"):
        side.under_way += 1
        side.learn(result(side.draft, FAILED, broken))
    assert side.tried("static") == Tried("static-strict", "2.15.0", 2, 2)


def test_what_was_not_played_to_its_end_is_not_told() -> None:
    """An interrupt leaves no figure that `promote` would take for a failure that comes and goes."""
    comparison = Comparison("a-cause", FAULTY, "static", ("static-strict",))
    sides = [comparison.next() for _ in range(SIDE_BY_SIDE)]
    assert comparison.next() is None
    for side in sides:
        assert side is not None
        side.learn(result(side.draft, FAILED))
    assert (comparison.is_done, comparison.tried, comparison.without_faults) == (False, (), None)


def test_a_draft_that_the_loader_refuses_ends_its_side() -> None:
    """The others go on."""
    comparison = Comparison("a-cause", FAULTY, "static", ("static-strict",))
    refused = comparison.next()
    assert refused is not None
    refused.refused()
    while (side := comparison.next()) is not None:
        assert side.subject is None
        side.learn(result(side.draft, PASSED))
    assert (comparison.is_done, comparison.tried) == (True, ())
    assert comparison.without_faults is not None
