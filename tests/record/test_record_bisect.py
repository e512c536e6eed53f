"""Bisecting with a player that plays nothing."""

from __future__ import annotations

import pytest

from harness.record.bisect import Bisected, bisected
from harness.record.words import BROKEN, KEPT, UNTESTED, Word

VERSIONS = [f"2.{minor}.0" for minor in range(6, 20)]


class Player:
    """Answers with the word of each version, and notes which it was asked for."""

    def __init__(self, words: dict[str, str]) -> None:
        self.words = words
        self.asked: list[str] = []

    def __call__(self, version: str) -> Word:
        self.asked.append(version)
        return Word(self.words.get(version, KEPT), 0, 3)


def bisect(words: dict[str, str]) -> tuple[Bisected, Player]:
    player = Player(words)
    return bisected(VERSIONS, player), player


@pytest.mark.parametrize("first_bad", range(1, len(VERSIONS)))
@pytest.mark.parametrize("is_introduced", [True, False])
def test_a_change_is_found_wherever_it_is(first_bad: int, is_introduced: bool) -> None:
    """Between the two neighbours, in either direction, with few plays and none twice."""
    broken = VERSIONS[first_bad:] if is_introduced else VERSIONS[:first_bad]
    found, player = bisect(dict.fromkeys(broken, BROKEN))
    assert found.change is not None
    assert (found.change.is_introduced, found.change.after, found.change.by) == (
        is_introduced,
        VERSIONS[first_bad - 1],
        VERSIONS[first_bad],
    )
    assert len(player.asked) == len(set(player.asked)) <= 6


def test_both_ends_are_played_first() -> None:
    """So that ends that agree cost two plays; and it says that they do."""
    found, player = bisect({})
    assert player.asked == [VERSIONS[0], VERSIONS[-1]]
    assert found.change is None
    assert found.because.startswith("both ends agree: torch 2.6.0 is kept and torch 2.19.0 is kept")


def test_an_end_that_says_nothing_is_named() -> None:
    """Nothing can be found from it."""
    found, _ = bisect({VERSIONS[-1]: UNTESTED})
    assert found.because.startswith("torch 2.19.0 is untested")


def test_releases_that_say_nothing_are_left_out_and_named() -> None:
    """Their neighbours are played, and the bracket is as wide as it must be."""
    words = {**dict.fromkeys(VERSIONS[8:], BROKEN), **dict.fromkeys(VERSIONS[6:8], UNTESTED)}
    found, _ = bisect(words)
    assert str(found.change) == "introduced in (2.11.0, 2.14.0], untested: 2.12.0, 2.13.0"


def test_neighbours_need_no_middle() -> None:
    """Two plays are enough."""
    player = Player({VERSIONS[1]: BROKEN})
    assert str(bisected(VERSIONS[:2], player).change) == "introduced in (2.6.0, 2.7.0]"
    assert player.asked == VERSIONS[:2]
