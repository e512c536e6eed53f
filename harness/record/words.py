"""In one word how a torch stands to a cell, and between which releases that changed; all derived from plays."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

from packaging.specifiers import SpecifierSet
from packaging.version import InvalidVersion, Version

from harness.record.document import Play
from harness.scenario.scenario import Scenario

KEPT, BROKEN, DIFFERENTLY, FLAKY = "kept", "broken", "broken differently", "flaky"
NOT_APPLICABLE, UNTESTED = "not applicable", "untested"
WORDS = (KEPT, BROKEN, DIFFERENTLY, FLAKY, NOT_APPLICABLE, UNTESTED)
BAD = (BROKEN, DIFFERENTLY, FLAKY)


@dataclass(frozen=True)
class Word:
    """How a torch stands to a cell, or to a failure.

    Attributes:
        word: one of `WORDS`.
        broken: in how many plays claims were broken.
        plays: how many plays said something.
    """

    word: str
    broken: int = 0
    plays: int = 0

    def __str__(self) -> str:
        return f"{self.word} {self.broken} of {self.plays}" if self.word == FLAKY else self.word

    @property
    def is_tested(self) -> bool:
        return self.word not in (NOT_APPLICABLE, UNTESTED)

    @property
    def is_bad(self) -> bool:
        return self.word in BAD


def word_of(plays: Collection[Play], breaks: Collection[Collection[str]], applies: bool = True) -> Word:
    """The word for the plays of one cell.

    Args:
        breaks: what each `known` entry of the subject says that is broken; if most plays break other claims than any
            of these, the cell is broken differently.
        applies: whether the scenario is about this torch at all.
    """
    said = [play for play in plays if play.is_conclusive]
    broken = [play for play in said if play.broken]
    if not applies:
        return Word(NOT_APPLICABLE)
    if not said:
        return Word(UNTESTED)
    if not broken:
        return Word(KEPT, 0, len(said))
    if len(broken) < len(said):
        return Word(FLAKY, len(broken), len(said))
    expected = [frozenset(one) for one in breaks]
    alike = sum(frozenset(play.broken) in expected for play in broken)
    word = BROKEN if not expected or 2 * alike > len(broken) else DIFFERENTLY
    return Word(word, len(broken), len(said))


def applies(scenario: Scenario, torch: str) -> bool:
    """Whether a scenario is about a version of torch, as its `needs` say."""
    wanted = scenario.needs.get("torch")
    return not wanted or SpecifierSet(wanted).contains(release(torch), prereleases=True)


def together(words: Sequence[Word]) -> Word:
    """The word for several cells: broken if any is, kept if those that were played are."""
    broken = sum(one.broken for one in words)
    plays = sum(one.plays for one in words)
    for word in (BROKEN, DIFFERENTLY, FLAKY, KEPT):
        if any(one.word == word for one in words):
            return Word(word, broken, plays)
    return Word(UNTESTED if not words or any(one.word == UNTESTED for one in words) else NOT_APPLICABLE)


# -- versions -----------------------------------------------------------------------------------------------------


def release(torch: str) -> Version:
    """The version without its build; one that cannot be read is before all others."""
    try:
        return Version(torch.split("+")[0])
    except InvalidVersion:
        return Version("0.dev0")


def in_order(torches: Collection[str]) -> list[str]:
    """Builds of torch, oldest release first."""
    return sorted(torches, key=lambda torch: (release(torch), torch))


@dataclass(frozen=True)
class Change:
    """Between two releases that were played one after the other a word changed from good to bad, or back.

    Attributes:
        after: the last release that was as before; empty if the first that was played is bad already.
        by: the first release that is different.
        untested: releases in between that the record has, and that say nothing.
    """

    is_introduced: bool
    after: str
    by: str
    untested: tuple[str, ...] = ()

    def __str__(self) -> str:
        verb = "introduced" if self.is_introduced else "fixed"
        if not self.after:
            return f"{verb} in <={self.by}"
        gap = f", untested: {', '.join(self.untested)}" if self.untested else ""
        return f"{verb} in ({self.after}, {self.by}]{gap}"


def changes(words: Sequence[tuple[str, Word]]) -> Iterator[Change]:
    """Every change, oldest first; a failure may come and go several times.

    Args:
        words: by release, in order.
    """
    before: tuple[str, bool] | None = None
    gap: list[str] = []
    for version, word in words:
        if not word.is_tested:
            gap.append(version)
            continue
        if before is None and word.is_bad:
            yield Change(True, "", version)
        elif before is not None and before[1] != word.is_bad:
            yield Change(word.is_bad, before[0], version, tuple(gap))
        before, gap = (version, word.is_bad), []
