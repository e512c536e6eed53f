"""Storms of connects: histories that are accepted, and histories that are rejected."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from pasts import Past, scenario

from harness.checkers.no_storm import NoStorm
from harness.values.history import History
from harness.values.ops import FAIL
from harness.values.verdict import FAILED, PASSED, VACUOUS, Verdict

PRIVATE = {"world": {"private_network": True}}


def judged(past: Past) -> Verdict:
    return NoStorm().check(scenario(), past.whole(), {})


def joined(refused: int | None, *, until: float = 3, **begin: Any) -> Past:
    """Two joins of 3 s; rank 1 reports the number."""
    returned = {} if refused is None else {"refused": refused}
    return Past(2, **(begin or PRIVATE)).join(0, 0, until).join(1, 0, until, returned=returned)


@pytest.mark.parametrize(("refused", "status"), [(15, PASSED), (120, PASSED), (121, FAILED), (7514, FAILED)])
def test_the_bound_grows_with_the_time_and_with_the_joins(refused: int, status: str) -> None:
    """Two joins of 3 s: 60 and 60."""
    assert judged(joined(refused)).status == status


def test_the_finding_says_how_many() -> None:
    """And how many are allowed."""
    assert judged(joined(7514)).because == (
        "7514 connects were refused in 3.00 s during rank 1's join, allowed 120 for all joins at that time"
    )


def test_a_join_that_raised_is_judged_too() -> None:
    """Its number is beside its error."""
    history = Past(1, **PRIVATE).join(0, 0, 3, "failed").whole()
    ops = [replace(op, value={"refused": 500}) if op.type == FAIL else op for op in history]
    assert NoStorm().check(scenario(), History.of(ops), {}).status == FAILED


def test_joins_at_other_times_allow_nothing() -> None:
    """Only rank 1 was joining."""
    past = Past(2, **PRIVATE).join(0, 0, 1).join(1, 5, 8, returned={"refused": 61})
    assert judged(past).status == FAILED


@pytest.mark.parametrize(
    "past",
    [
        joined(None),
        joined(7514, world={"private_network": False}),
        joined(7514, world="processes"),
        joined(7514).fault("port-scan", 0.1, 1, kind="strangers"),
    ],
    ids=["none", "shared", "unknown", "strangers"],
)
def test_what_others_may_have_done_is_not_judged(past: Past) -> None:
    """The counter is that of the whole network."""
    assert judged(past).status == VACUOUS
