"""How long a try may take: in keeping with the timeout, and longer after one that met silence."""

from __future__ import annotations

import pytest

from harness.rendezvous.failures import Silent, Unreachable
from harness.rendezvous.patience import Patience


@pytest.mark.parametrize(("timeout_s", "answer_s"), [(0.5, 3), (9, 3), (60, 20), (900, 30)])
def test_an_answer_may_take_a_third_of_the_timeout_within_bounds(timeout_s: float, answer_s: float) -> None:
    """A connection and a name may not: to ask for them again costs nobody anything."""
    patience = Patience(timeout_s)
    assert (patience.answer_s, patience.connect_s) == (answer_s, 3)


def test_only_silence_makes_it_longer() -> None:
    """Who is refused tries as before, after a pause that grows to half a second."""
    patience = Patience(60)
    for _ in range(50):
        patience.grow(Unreachable("refused"))
    assert (patience.answer_s, patience.connect_s, patience.pause_s) == (20, 3, 0.5)
    patience.grow(Silent("an answer"))
    assert (patience.answer_s, patience.connect_s) == (40, 6)


def test_a_store_gets_twice_what_its_last_maker_took_in_vain() -> None:
    """And never less than before."""
    patience = Patience(60)
    patience.grow_for_store(0.1)
    assert patience.store_s == 10
    patience.grow_for_store(10.1)
    assert patience.store_s == 20.2
