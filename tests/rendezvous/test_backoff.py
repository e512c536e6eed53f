"""How long a try may take: in proportion to the timeout, and longer after one that got no answer."""

from __future__ import annotations

import pytest

from harness.rendezvous.backoff import Backoff
from harness.rendezvous.failures import TimedOut, Unreachable


@pytest.mark.parametrize(("timeout_s", "answer_s"), [(0.5, 3), (9, 3), (60, 20), (900, 30)])
def test_an_answer_may_take_a_third_of_the_timeout_within_bounds(timeout_s: float, answer_s: float) -> None:
    """A connection and a look-up get 3 s always: to try them again does not delay anybody."""
    backoff = Backoff(timeout_s)
    assert (backoff.answer_s, backoff.connect_s) == (answer_s, 3)


def test_only_a_timeout_makes_it_longer() -> None:
    """After a refusal the limits stay, and the pause grows to half a second."""
    backoff = Backoff(60)
    for _ in range(50):
        backoff.grow(Unreachable("refused"))
    assert (backoff.answer_s, backoff.connect_s, backoff.pause_s) == (20, 3, 0.5)
    backoff.grow(TimedOut("an answer"))
    assert (backoff.answer_s, backoff.connect_s) == (40, 6)


def test_a_store_gets_twice_the_time_of_its_last_failed_constructor() -> None:
    """It never gets less than before."""
    backoff = Backoff(60)
    backoff.grow_for_store(0.1)
    assert backoff.store_s == 10
    backoff.grow_for_store(10.1)
    assert backoff.store_s == 20.2
