"""What differs between two results: words, how calls end, classes, messages, and times to an error."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from statistics import median

from harness.record.document import CallOutcome, Play, Plays, Results

WORD, OUTCOME, CLASS, MESSAGE, TIME = "claims", "outcome", "class", "message", "time"
KINDS = (WORD, OUTCOME, CLASS, MESSAGE, TIME)

LEAST_SECONDS = 0.4
"""Between the ranges of two times that differ; also at least half of the wider range, which is chance."""


@dataclass(frozen=True)
class Difference:
    """One difference of one claim.

    Attributes:
        cell: its name.
        claim: its name; empty where the whole cell differs.
        kind: one of `KINDS`.
        before, after: in words; of a message the normal form.
    """

    cell: str
    claim: str
    kind: str
    before: str
    after: str


@dataclass(frozen=True)
class Times:
    """Times to an error in seconds."""

    median: float
    shortest: float
    longest: float

    def __str__(self) -> str:
        if self.shortest == self.longest:
            return f"{self.median:.2f} s"
        return f"{self.median:.2f} s ({self.shortest:.2f} to {self.longest:.2f})"


Cells = Collection[tuple[str, str]]
"""Names of cells, with the digests of their scenarios."""


def common(one: Results, other: Results) -> Cells:
    """The cells that both have, of the same text of the scenario, whatever it is today."""
    return _pairs(one) & _pairs(other)


def _pairs(results: Results) -> set[tuple[str, str]]:
    return {(cell, digest) for cell, digests in results.cells.items() for digest in digests}


def differences(one: Results, other: Results, cells: Cells) -> list[Difference]:
    """Everything that differs between two results, by cell; what only one of them has is no difference.

    Chance is none: a word differs if no play of one is like any play of the other. An end of a call differs if it
    was there in every play of one and in none of the other.

    Args:
        cells: those that are looked at.
    """
    found: list[Difference] = []
    for cell, digest in sorted(cells):
        plays = [_said(results.plays(cell, digest)) for results in (one, other)]
        if all(plays):
            found += _of_cell(cell, one, other, *plays)
    return found


def _said(plays: Plays) -> list[Play]:
    return [play for play in plays.values() if play.is_conclusive]


def _of_cell(
    cell: str, one: Results, other: Results, before: Sequence[Play], after: Sequence[Play]
) -> Iterator[Difference]:
    broken = [{play.broken for play in plays} for plays in (before, after)]
    if not broken[0] & broken[1]:
        yield Difference(cell, "", WORD, _breaks(broken[0]), _breaks(broken[1]))
    claims = sorted({name for play in before for name in play.claims} & {n for play in after for n in play.claims})
    for claim in claims:
        yield from _of_ends(cell, claim, _Ends.of(one, before, claim), _Ends.of(other, after, claim))
        yield from _of_times(cell, claim, times(before, claim), times(after, claim))


def _breaks(broken: Collection[tuple[str, ...]]) -> str:
    return " or ".join(sorted({f"breaks {', '.join(names)}" if names else "kept" for names in broken}))


@dataclass(frozen=True)
class _Ends:
    """How the calls of a claim ended: in each play, and in any."""

    always: frozenset[CallOutcome]
    ever: frozenset[CallOutcome]

    @classmethod
    def of(cls, results: Results, plays: Sequence[Play], claim: str) -> _Ends:
        each = [
            frozenset(results.outcomes[play.claims[claim].of].calls)
            for play in plays
            if claim in play.claims and play.claims[claim].of in results.outcomes
        ]
        if not each:
            return cls(frozenset(), frozenset())
        return cls(frozenset.intersection(*each), frozenset.union(*each))


def _of_ends(cell: str, claim: str, before: _Ends, after: _Ends) -> Iterator[Difference]:
    gone, new = before.always - after.ever, after.always - before.ever
    if not gone and not new:
        return
    gone, new = gone or before.ever, new or after.ever
    for kind, in_words in ((OUTCOME, _outcomes), (CLASS, _classes), (MESSAGE, _messages)):
        if in_words(gone) != in_words(new):
            yield Difference(cell, claim, kind, in_words(gone), in_words(new))
            return


def _outcomes(ends: Collection[CallOutcome]) -> str:
    return ", ".join(sorted({end.outcome for end in ends}))


def _classes(ends: Collection[CallOutcome]) -> str:
    return ", ".join(sorted({" from ".join(end.classes) for end in ends if end.classes}))


def _messages(ends: Collection[CallOutcome]) -> str:
    return " / ".join(sorted({end.message for end in ends if end.message}))


def _of_times(cell: str, claim: str, before: Times | None, after: Times | None) -> Iterator[Difference]:
    if before is None or after is None:
        return
    gap = max(after.shortest - before.longest, before.shortest - after.longest)
    widest = max(before.longest - before.shortest, after.longest - after.shortest)
    if gap >= max(LEAST_SECONDS, widest / 2):
        yield Difference(cell, claim, TIME, str(before), str(after))


def times(plays: Sequence[Play], claim: str) -> Times | None:
    """How long a claim's calls took to their errors, in all plays together; None if none had one."""
    took = [it.seconds for play in plays if (it := play.claims.get(claim)) is not None and it.seconds is not None]
    return Times(median(took), min(took), max(took)) if took else None
