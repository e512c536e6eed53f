"""The error contract: histories it accepts, and histories it rejects."""

from __future__ import annotations

from dataclasses import replace

import pytest
from pasts import NETWORK, RUNTIME, TIMEOUT, Past, scenario

from harness.checkers.error_contract import CONTRACT, ErrorContract
from harness.values.history import History
from harness.values.ops import ErrorInfo
from harness.values.verdict import FAILED, PASSED, VACUOUS, Verdict

RULE = ErrorContract.declaration.summary


def judged(history: History) -> Verdict:
    return ErrorContract().check(scenario(), history, {})


@pytest.mark.parametrize("kind", CONTRACT)
def test_each_class_of_the_contract_is_accepted(kind: str) -> None:
    """And so is a class derived from it."""
    causes = ("OSError: connection refused",)
    derived = ErrorInfo("Special", ("Special", kind, "Exception"), "", causes)
    past = Past(2).join(0, 0, 1, "failed", error=ErrorInfo(kind, (kind, "Exception"), "x", causes))
    past.join(1, 0, 1, "failed", error=derived)
    assert judged(past.whole()) == Verdict("error_contract", PASSED, "2 joins raised within the contract", RULE)


def test_joins_that_returned_are_nothing_to_judge() -> None:
    """Nor are other calls that raised."""
    past = Past(2).all_join().call(1, "get", 1, 2, "failed", error=RUNTIME)
    assert judged(past.whole()) == Verdict("error_contract", VACUOUS, "no rendezvous raised", RULE)


def test_a_bare_runtime_error_is_rejected() -> None:
    """F31: what torch 2.6 raises for a port in use."""
    past = Past(2).join(0, 0, 1, "failed", error=RUNTIME).join(1, 0, 1, "failed", error=NETWORK)
    assert judged(past.whole()) == Verdict(
        "error_contract",
        FAILED,
        "rank 0's join raised RuntimeError, which is not in the contract: Connection refused",
        RULE,
        "RuntimeError",
        (2, 4),
    )


def test_the_base_of_a_class_of_the_contract_is_rejected() -> None:
    """DistError says neither network nor store."""
    past = Past(2).join(0, 0, 1, "failed", error=ErrorInfo("DistError", ("DistError", "RuntimeError"), ""))
    past.join(1, 0, 1, "failed", error=TIMEOUT)
    assert judged(past.whole()).because == "rank 0's join raised DistError, which is not in the contract"


def test_every_join_is_judged() -> None:
    """The first is named, the others are counted."""
    past = Past(3).all_join(outcome="failed", error=RUNTIME)
    assert judged(past.whole()).because.endswith("Connection refused (and 2 more)")


@pytest.mark.parametrize("kind", ["RendezvousConnectionError", "Special"])
def test_a_connection_error_without_a_cause_is_rejected(kind: str) -> None:
    """Nobody learns what the system reported; a class derived from it is no better."""
    error = ErrorInfo(kind, (kind, "RendezvousConnectionError", "RendezvousError", "Exception"), "no connection")
    verdict = judged(Past(1).join(0, 0, 1, "failed", error=error).whole())
    assert (verdict.status, verdict.because) == (FAILED, f"rank 0's join raised {kind} without a cause")


def test_an_error_that_was_not_recorded_is_rejected() -> None:
    """Nobody can tell what failed."""
    past = Past(1).join(0, 0, 1, "failed").whole()
    verdict = judged(History.of(replace(op, error=None) for op in past))
    assert (verdict.status, verdict.because) == (
        FAILED,
        "rank 0's join raised an unknown error, which is not in the contract",
    )
