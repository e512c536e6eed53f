"""Two records beside each other: what differs for each torch, which torches are new, and which are gone."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

from harness.record.difference import Difference, common, differences
from harness.record.document import Results
from harness.record.words import in_order
from harness.reports.parts.markdown import table_line, text
from harness.reports.parts.safe import one_line

MOST_ROWS = 100
"""Differences of a pair in Markdown; the page of a job in CI has a limit of 1 MiB."""


@dataclass(frozen=True)
class Pair:
    """The results of one subject, before and after.

    Attributes:
        is_new: the torch after is new, and the one before is its predecessor in the same record.
    """

    before: Results
    after: Results
    is_new: bool = False

    @cached_property
    def differences(self) -> Sequence[Difference]:
        """Of plays of one text of a scenario, whatever it is today."""
        return differences(self.before, self.after, common(self.before, self.after))

    def __str__(self) -> str:
        before, after = self.before.torch, self.after.torch
        if self.is_new:
            return f"{self.after.subject}, torch {after}, which is new, after {before}"
        return f"{self.after.subject}, torch {f'{before} and {after}' if before != after else after}"


@dataclass(frozen=True)
class Compared:
    """What two records have of each other.

    Attributes:
        pairs: those that can be compared.
        new, gone: torches that only the second has, and only the first.
    """

    pairs: Sequence[Pair]
    new: Sequence[str] = ()
    gone: Sequence[str] = ()


def of_two(before: Sequence[Results], after: Sequence[Results]) -> Compared:
    """One torch beside another one, by subject."""
    there = {one.subject: one for one in before}
    return Compared([Pair(there[one.subject], one) for one in after if one.subject in there])


def of_many(before: Sequence[Results], after: Sequence[Results]) -> Compared:
    """Each torch beside itself, and one that is new beside its predecessor in the second record."""
    old, recent = ({(one.subject, one.torch): one for one in results} for results in (before, after))
    had, has = ({torch for _, torch in results} for results in (old, recent))
    pairs = []
    for subject in sorted({subject for subject, _ in recent}):
        torches = in_order({torch for its, torch in recent if its == subject})
        for place, torch in enumerate(torches):
            if (subject, torch) in old:
                pairs.append(Pair(old[subject, torch], recent[subject, torch]))
            elif torch not in had and place:
                pairs.append(Pair(recent[subject, torches[place - 1]], recent[subject, torch], is_new=True))
    return Compared(pairs, in_order(has - had), in_order(had - has))


def lines(compared: Compared, has_torches: bool) -> Iterator[str]:
    """A line for each difference.

    Args:
        has_torches: name the torch in each line.
    """
    for word, torches in (("new", compared.new), ("gone", compared.gone)):
        yield from (one_line(f"torch {torch}: {word}") for torch in torches)
    for pair in compared.pairs:
        where = str(pair) if has_torches else pair.after.subject
        for one in pair.differences:
            claim = f" {one.claim}" if one.claim else ""
            yield one_line(f"{where}: {one.cell}{claim}: {one.kind}: {one.before} -> {one.after}")


def markdown(compared: Compared) -> Iterator[str]:
    """A page: a table for each pair that differs, and one line for those that do not."""
    yield from ("# What differs between two records", "")
    for word, torches in (("New", compared.new), ("Gone", compared.gone)):
        if torches:
            yield from (f"{word}: torch {text(', '.join(torches))}.", "")
    equal = []
    for pair in compared.pairs:
        if pair.differences:
            yield from _table(pair)
        else:
            equal.append(str(pair))
    if equal:
        yield f"Nothing differs: {text('; '.join(equal))}."


def _table(pair: Pair) -> Iterator[str]:
    found = pair.differences
    yield from (f"## {text(str(pair))}", "")
    yield table_line(["scenario", "claim", "what", "before", "after"])
    yield table_line(["---"] * 5)
    for one in found[:MOST_ROWS]:
        claim = text(one.claim) or "all"
        yield table_line([text(one.cell), claim, one.kind, text(one.before), text(one.after)])
    if len(found) > MOST_ROWS:
        yield from ("", f"And {len(found) - MOST_ROWS} more.")
    yield ""
