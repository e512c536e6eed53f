"""Recovery: histories it accepts, and histories it rejects."""

from __future__ import annotations

from typing import Any

from pasts import SECOND, Past, scenario

from harness.checkers.recovery import Recovery
from harness.values.history import History
from harness.values.verdict import FAILED, PASSED, VACUOUS, Verdict

RULE = Recovery.declaration.summary


def judged(history: History, **parameters: Any) -> Verdict:
    return Recovery().check(scenario(), history, {"within": 2 * SECOND, **parameters})


def cut() -> Past:
    """A joined world whose rank 1 was cut off from 1 s to 2 s."""
    return Past(2).all_join().fault("cut", 1, 2)


def test_the_next_call_after_the_healing_is_ok() -> None:
    """The calls under the fault are not judged."""
    past = cut().call(1, "get", 1.1, 1.2, "failed").call(1, "check", 2.5, 2.6)
    assert judged(past.whole()) == Verdict("recovery", PASSED, "1 next call ok within 2.00 s", RULE)


def test_only_the_next_call_is_judged() -> None:
    """What comes later may fail for other reasons."""
    past = cut().call(1, "check", 2.5, 2.6).call(1, "get", 3.0, 9.0, "failed")
    assert judged(past.whole()).status == PASSED


def test_ranks_that_the_fault_spared_are_not_judged() -> None:
    """Rank 0 fails, but was never touched."""
    past = cut().call(0, "get", 2.1, 3, "failed").call(1, "check", 2.5, 2.6)
    assert judged(past.whole()).status == PASSED


def test_no_call_after_the_healing_is_nothing_to_judge() -> None:
    """A sleep and the end of the process show nothing."""
    past = cut().call(1, "sleep", 2.5, 3)
    assert judged(past.whole()).status == VACUOUS


def test_a_fault_that_touched_nothing_has_nothing_to_recover_from() -> None:
    """Its healing is no healing."""
    past = Past(2).all_join().fault("cut", 1, 2, touched=False).call(1, "check", 2.5, 2.6)
    assert judged(past.whole()).status == VACUOUS


def test_a_failing_next_call_is_rejected() -> None:
    """F15: broken pipe for good."""
    past = cut().call(1, "check", 2.5, 2.6, "failed")
    assert judged(past.whole()) == Verdict(
        "recovery",
        FAILED,
        "rank 1's check, the next call after cut was healed, raised DistNetworkError after 100 ms",
        RULE,
        "raised DistNetworkError after 100 ms",
        (7, 8, 9),
    )


def test_a_slow_next_call_is_rejected() -> None:
    """It counts from the call's own begin."""
    past = cut().call(1, "check", 5, 8)
    assert judged(past.whole()).because.endswith("returned after 3.00 s, allowed 2.00 s")
    assert judged(past.whole(), within=4 * SECOND).status == PASSED


def test_a_fault_without_ranks_touches_all() -> None:
    """The port was held: every rank must recover."""
    past = Past(2).fault("held", 0, 1, kind="occupy_port", ranks=()).join(0, 2, 2.1).join(1, 2, 2.1, "failed")
    assert judged(past.whole()).status == FAILED


def test_every_healing_is_judged() -> None:
    """The first recovered, the second did not."""
    past = cut().call(1, "check", 2.5, 2.6).fault("again", 3, 4).call(1, "get", 5, 6, "failed")
    assert judged(past.whole()).because.startswith("rank 1's get, the next call after again was healed")


def test_a_second_life_s_first_call_is_the_next() -> None:
    """A kill is healed by starting the rank anew."""
    past = Past(2).all_join().fault("kill", 1, 2, kind="kill").join(1, 2.5, 9, "failed", life=2)
    assert judged(past.whole()).because.startswith("rank 1's join (life 2), the next call after kill was healed")


def test_slower_by_less_than_the_measured_lateness_recovered() -> None:
    """The machine did it, and the verdict tells; slower by more did not."""
    verdict = judged(cut().call(1, "check", 2.5, 4.51, lag=0.1).whole())
    assert (verdict.status, verdict.granted_ns) == (PASSED, SECOND // 100)
    assert verdict.because.endswith("missed by 10 ms, and rank 1 waited 100 ms for a processor")
    assert judged(cut().call(1, "check", 2.5, 4.61, lag=0.1).whole()).status == FAILED
