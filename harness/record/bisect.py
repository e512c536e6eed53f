"""Between which two releases a claim changed: both ends are played first, then the middle of what is left."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from harness.record.words import Change, Word

PlayVersion = Callable[[str], Word]
"""Plays a version and returns how it stands to the claims."""


@dataclass(frozen=True)
class Bisected:
    """What was found.

    Attributes:
        change: None if both ends agree, or if an end says nothing.
        because: why there is no change; empty if there is one.
        played: every version that was played, in that order.
    """

    change: Change | None
    because: str
    played: Sequence[tuple[str, Word]]


def bisected(versions: Sequence[str], play: PlayVersion) -> Bisected:
    """Find the first release that is not like the first one.

    A release that says nothing is left out, and its neighbours are played. If there were several changes, it finds
    one of them: a failure need not stay once it is there, and only playing all releases shows that.

    Args:
        versions: in order, both ends included.
    """
    played: dict[str, Word] = {}

    def word(version: str) -> Word:
        if version not in played:
            played[version] = play(version)
        return played[version]

    low, high = 0, len(versions) - 1
    first, last = word(versions[low]), word(versions[high])
    because = _why_not(versions, first, last)
    if because:
        return Bisected(None, because, list(played.items()))
    while (middle := _middle(versions, low, high, word)) is not None:
        if word(versions[middle]).is_bad == first.is_bad:
            low = middle
        else:
            high = middle
    gap = tuple(versions[low + 1 : high])
    return Bisected(Change(last.is_bad, versions[low], versions[high], gap), "", list(played.items()))


def _why_not(versions: Sequence[str], first: Word, last: Word) -> str:
    for version, found in ((versions[0], first), (versions[-1], last)):
        if not found.is_tested:
            return f"torch {version} is {found}: an end must say whether the claims are kept; give another one"
    if first.is_bad == last.is_bad:
        ends = f"torch {versions[0]} is {first} and torch {versions[-1]} is {last}"
        return f"both ends agree: {ends}; give ends that differ, or play all releases with `record run`"
    return ""


def _middle(versions: Sequence[str], low: int, high: int, word: PlayVersion) -> int | None:
    """The place nearest to the middle whose release says something; None if there is none in between."""
    places = sorted(range(low + 1, high), key=lambda place: abs(2 * place - low - high))
    return next((place for place in places if word(versions[place]).is_tested), None)
