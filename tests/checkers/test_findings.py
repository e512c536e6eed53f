"""What findings amount to: passed, failed, or an error of a busy machine; and which checkers are standing."""

from __future__ import annotations

from pasts import SECOND, Past, at

from harness.checkers.base import CHECKERS, Finding, granted, late, standing_invariants, verdict_of
from harness.values.verdict import ERROR, FAILED, PASSED, Verdict

BUSY = Finding("it was late", "late", (1,), busy=True)
(CALL,) = Past().call(0, "get", 0, 9).so_far().calls
SURE = Finding("it was wrong", "wrong", (2, 3))


def test_no_finding_is_a_pass() -> None:
    """With the sentence of what held."""
    assert verdict_of("rule", [], "all is well", "2 calls") == Verdict("rule", PASSED, "2 calls", "all is well")


def test_a_finding_fails_with_its_evidence() -> None:
    """The first is shown, the others are counted; evidence is that of all, each operation once."""
    other = Finding("it was wrong too", evidence=(3, 4))
    assert verdict_of("rule", [SURE, other], "all is well", "") == Verdict(
        "rule", FAILED, "it was wrong (and 1 more)", "all is well", "wrong", (2, 3, 4)
    )
    assert verdict_of("rule", [other], "all is well", "").happened == "it was wrong too"


def test_a_busy_machine_is_an_error_only_if_it_explains_everything() -> None:
    """One finding that it cannot explain decides, and is the one that is shown."""
    assert verdict_of("rule", [BUSY], "", "").status == ERROR
    mixed = verdict_of("rule", [BUSY, SURE], "", "")
    assert (mixed.status, mixed.because, mixed.evidence) == (FAILED, "it was wrong", (2, 3))


def test_a_bound_missed_by_less_than_the_lateness_is_no_violation() -> None:
    """Only lateness inside the window counts, whichever of its ends is given first."""
    history = Past().lag(2, 0.5).so_far()
    missed = late(history, CALL, (at(1), at(2)), SECOND // 4, "it was late", happened="late")
    assert missed == Finding(
        "it was late; missed by 250 ms, and the controller waited 500 ms for a processor",
        "late",
        granted_ns=SECOND // 4,
    )
    assert missed == late(history, CALL, (at(2), at(1)), SECOND // 4, "it was late", happened="late")
    assert late(history, CALL, (at(1), at(2)), SECOND // 2, "it was late").granted_ns == SECOND // 2
    assert late(history, CALL, (at(1), at(2)), SECOND // 2 + 1, "it was late") == Finding("it was late")
    assert late(history, CALL, (at(3), at(4)), 1, "it was late") == Finding("it was late")


def test_what_was_granted_passes_and_is_told() -> None:
    """The one that was missed by most, and how many there were; beside a violation it does not count."""
    grants = [
        granted(5, "it was a little late", evidence=(1,)),
        granted(7, "it was late", happened="late", evidence=(2,)),
    ]
    assert verdict_of("rule", grants, "in time", "2 calls") == Verdict(
        "rule", PASSED, "2 calls; it was late (and 1 more)", "in time", "late", (1, 2), granted_ns=7
    )
    assert verdict_of("rule", [*grants, SURE], "", "") == verdict_of("rule", [SURE], "", "")
    assert verdict_of("rule", [*grants, BUSY], "", "").status == ERROR


def test_the_standing_invariants_are_the_standing_checkers() -> None:
    """Safety and liveness that every run is judged by."""
    safety, liveness = ("agreement", "no_crash", "prefix_isolation"), ("no_hang",)
    manners = ("idle_wait", "no_leak", "no_storm", "nothing_left_behind")
    assert standing_invariants() == tuple(sorted((*safety, *liveness, *manners)))
    assert all(CHECKERS[kind].standing for kind in standing_invariants())
