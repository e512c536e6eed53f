"""Not early: histories it accepts, and histories it rejects."""

from __future__ import annotations

from typing import Any

import pytest
from pasts import NETWORK, Past, scenario

from harness.checkers.not_early import NotEarly
from harness.values.history import History
from harness.values.ops import ErrorInfo
from harness.values.verdict import ERROR, FAILED, PASSED, VACUOUS, Verdict

RULE = NotEarly.declaration.summary
WAITED = ErrorInfo("DistStoreError", ("DistStoreError", "RuntimeError"), "wait timeout after 2000ms, keys: /a/k")


def judged(history: History) -> Verdict:
    return NotEarly().check(scenario(size=3), history, {})


def timing_out(past: Past, after: float = 0.5, error: ErrorInfo = WAITED, **more: Any) -> History:
    """Rank 2's get, which has 2 s, ends so many seconds after its begin."""
    return past.call(2, "get", 1, 1 + after, "failed", error=error, **more).whole()


def world() -> Past:
    return Past(3).all_join()


def test_a_call_that_lasts_for_its_timeout_is_fine() -> None:
    """A little less is too: torch counts milliseconds."""
    assert judged(timing_out(world(), 2.0)) == Verdict(
        "not_early", PASSED, "1 call timed out, none before its time", RULE
    )
    assert judged(timing_out(world(), 1.81)).status == PASSED


def test_a_call_that_gives_up_early_is_rejected() -> None:
    """Whatever was late, it was late by its own clock too."""
    because = "rank 2's get raised DistStoreError after 500 ms, before its timeout of 2.00 s: " + WAITED.message
    assert judged(timing_out(world(), lag=5)) == Verdict(
        "not_early", FAILED, because, RULE, "raised DistStoreError after 500 ms", (8, 9)
    )


def test_a_join_that_gives_up_early_is_rejected() -> None:
    """Rank 0 is missing, and rank 1 does not wait for it."""
    error = ErrorInfo("RendezvousTimeoutError", ("RendezvousTimeoutError",), "gave up waiting for rank 0 after 1.0 s")
    assert judged(Past(3).join(1, 0, 1.0, "failed", error=error).whole()).status == FAILED


def test_a_waits_own_timeout_counts() -> None:
    """It was given 400 ms."""
    own = {"arguments": {"keys": ["k"], "timeout": 400_000_000}, "f": "wait"}
    assert judged(timing_out(world(), 0.4, **own)).status == PASSED
    assert judged(timing_out(world(), 0.2, **own)).status == FAILED


def test_a_timeout_of_nothing_is_not_judged() -> None:
    """No call can be too early for it."""
    own = {"arguments": {"keys": ["k"], "timeout": 0}, "f": "wait"}
    assert judged(timing_out(world(), 0.4, **own)).status == VACUOUS


def test_an_error_that_does_not_speak_of_time_is_not_judged() -> None:
    """A connection that was reset ends a call at once."""
    assert judged(timing_out(world(), error=NETWORK)).status == VACUOUS


@pytest.mark.parametrize(
    "past",
    [
        world().fault("cut", 1.2, None, ranks=(2,)),
        world().fault("frozen", 0.5, 1.2, ranks=(0,), kind="pause"),
        world().fault("port", 0.5, None, ranks=(), kind="impostor"),
        world().ends(0, 0.9, 1.0),
        world().call(0, "shutdown", 0.9, 1.0, value=True),
        world().call(2, "shutdown", 1.1, 1.2, value=True, thread="other"),
    ],
)
def test_what_may_have_ended_the_call_excuses(past: Past) -> None:
    """A fault on its rank, the master or the port; a master that is gone; a store that was shut down."""
    assert judged(timing_out(past)).status == VACUOUS


def test_a_fault_that_is_over_excuses_nothing() -> None:
    """Neither does one of another rank."""
    assert judged(timing_out(world().fault("cut", 0.5, 0.9, ranks=(2,)))).status == FAILED
    assert judged(timing_out(world().fault("cut", 0.5, None, ranks=(1,)))).status == FAILED


UNCONNECTED = ErrorInfo("RendezvousConnectionError", ("RendezvousConnectionError",), "no connection: refused")


@pytest.mark.parametrize("after", [0.5, 2.0])
def test_a_worker_of_static_strict_tries_until_its_deadline(after: float) -> None:
    """Whatever happens to its connections; stock's may end when one is cut, and a master's when its port is taken."""

    def joins(subject: str, rank: int) -> str:
        past = Past(3, subject=subject).fault("cut", 0.1, None, ranks=(1,))
        return judged(past.join(rank, 0, after, "failed", error=UNCONNECTED).whole()).status

    assert joins("static-strict", 1) == (FAILED if after < 2 else PASSED)
    assert joins("static", 1) == VACUOUS
    assert joins("static-strict", 0) == VACUOUS


def test_a_worker_that_was_shut_down_need_not_try() -> None:
    """Its own thread ended it."""
    past = Past(3, subject="static-strict").join(1, 0, 0.5, "failed", error=UNCONNECTED)
    assert judged(past.call(1, "shutdown", 0.4, 0.5, value=True, thread="other").whole()).status == VACUOUS


def test_a_stop_makes_it_an_error_and_a_wait_does_not() -> None:
    """What a stopped part makes another process do may end a call; waiting for a processor only delays."""
    assert judged(timing_out(world().stall(1.1, 1.3))).status == ERROR
    assert judged(timing_out(world().stall(0.5, 1.3, how="waited"))).status == FAILED


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (ErrorInfo("RendezvousTimeoutError", ("RendezvousTimeoutError",), "rank 1 of run a timed out"), FAILED),
        (ErrorInfo("RendezvousStateError", ("RendezvousStateError",), "rank 1 of run a met another store"), VACUOUS),
    ],
)
def test_what_a_worker_of_static_strict_says_decides(error: ErrorInfo, status: str) -> None:
    """Its time is up: then a fault excuses nothing. The store is another one: that may be known at once.

    Its message tells that it is made from static-strict, whatever its name.
    """
    past = Past(3, subject="made-from-it").fault("cut", 0.1, None, ranks=(1,))
    assert judged(past.join(1, 0, 0.5, "failed", error=error).whole()).status == status


def test_store_calls_of_static_strict_are_excused_by_faults() -> None:
    """Only its workers' joins try on."""
    past = Past(3, subject="static-strict").all_join().fault("cut", 1.2, None, ranks=(2,))
    assert judged(timing_out(past)).status == VACUOUS
