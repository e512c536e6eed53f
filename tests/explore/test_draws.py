"""Draws: the same seed gives the same choices, everywhere."""

from __future__ import annotations

import random

import pytest

from harness.explore.draws import Draws


def test_a_seed_gives_these_choices() -> None:
    """The choices of seed 7 are recorded: another version of Python must make the same ones."""
    draws = Draws(7)
    assert [draws.whole(1, 6) for _ in range(8)] == [2, 1, 4, 1, 4, 3, 1, 4]
    assert draws.shuffled("abcde") == ["a", "c", "b", "d", "e"]
    assert draws.weighted({"never": 0, "often": 5, "seldom": 1}) == "often"
    assert draws.child("other").whole(0, 10**6) == 461304


def test_only_the_promised_method_of_random_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    """Python keeps the numbers of `random()` over versions, and of no other method."""

    class Promised:
        def __init__(self, seed: int) -> None:
            self.random = random.Random(seed).random

    monkeypatch.setattr("harness.explore.draws.Random", Promised)
    draws = Draws(1)
    draws.swarm("abc")
    draws.some("abc", 2)
    draws.choice("abc")
    assert 1 <= draws.log_uniform(1, 10) <= 10


def test_every_choice_is_in_its_range() -> None:
    """Both ends of a whole range occur and nothing beyond; a weight of 0 is never drawn; a swarm has one at least."""
    draws = Draws(3)
    assert {draws.whole(2, 4) for _ in range(200)} == {2, 3, 4}
    assert {draws.weighted({"a": 1, "b": 0, "c": 1}) for _ in range(200)} == {"a", "c"}
    assert {len(draws.swarm("abc")) for _ in range(200)} == {1, 2, 3}
    assert all(draws.some([1, 2, 3], 2) in ([1, 2], [1, 3], [2, 3]) for _ in range(50))


def test_a_childs_draws_move_nothing() -> None:
    """What is drawn from a child leaves the stream of its parent as it is, and depends on seed and name alone."""
    draws, twin = Draws(5), Draws(5)
    first = draws.child("x").share()
    assert draws.share() == twin.share()
    assert twin.child("x").share() == first != twin.child("y").share()
