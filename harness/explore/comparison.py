"""How a confirmed finding fares elsewhere: its smallest draft with other subjects, and without its faults."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace

from harness.explore.draft import Draft
from harness.explore.edits import entries, without
from harness.explore.finding import Tried
from harness.explore.observe import torch_of
from harness.judge.result import Result
from harness.values.verdict import FAILED, PASSED

PLAYS = 20
"""With each other subject: so many must fail for a `known` entry."""

PLAYS_WITHOUT_FAULTS = 5
"""Shrinking has refused to take the faults away, so this only shows it once more."""

ENOUGH_IF_MIXED = 5
"""Where some plays fail and others pass, no more are needed: neither entry of `known` would hold."""

SIDE_BY_SIDE = 4
MOST_WITHOUT_WORD = 3
"""A subject that so many plays say nothing about, such as one whose faults touch nothing, is left."""


def other_subjects(subject: str) -> tuple[str, ...]:
    """The subjects with which a finding of this one is tried too: `static` and `static-strict` compare well."""
    return {"static": ("static-strict",), "static-strict": ("static",)}.get(subject, ())


@dataclass
class Side:
    """One draft with one subject: what is played, and what came of it.

    Attributes:
        subject: None is the session's.
        wanted: how many plays.
        under_way: how many of them have not ended.
        silent: how many said nothing about the subject.
        broken: what each play that failed broke.
    """

    draft: Draft
    subject: str | None
    wanted: int
    passed: int = 0
    failed: int = 0
    silent: int = 0
    under_way: int = 0
    torch: str = ""
    broken: list[tuple[str, ...]] = field(default_factory=list)

    @property
    def left(self) -> int:
        """How many plays it still wants."""
        played = self.passed + self.failed
        is_mixed = self.passed and self.failed and played >= ENOUGH_IF_MIXED
        if is_mixed or self.silent > MOST_WITHOUT_WORD:
            return 0
        return max(0, self.wanted - played - self.under_way)

    @property
    def is_done(self) -> bool:
        """Whether it wants and awaits nothing more."""
        return not (self.left or self.under_way)

    def learn(self, result: Result) -> None:
        """Count a play."""
        self.under_way -= 1
        if result.status == FAILED:
            self.failed += 1
            verdicts = result.judgement.verdicts
            self.broken.append(tuple(verdict.name for verdict in verdicts if verdict.status == FAILED))
        elif result.status == PASSED:
            self.passed += 1
        else:
            self.silent += 1
        self.torch = torch_of(result) or self.torch

    def refused(self) -> None:
        """The loader does not take its draft, so it wants no plays."""
        self.wanted = self.under_way = 0

    def tried(self, subject: str) -> Tried:
        """What came of it; without what was broken if the plays do not agree on that."""
        breaks = self.broken[0] if len(set(self.broken)) == 1 else ()
        return Tried(self.subject or subject, self.torch, self.failed, self.passed + self.failed, breaks)


class Comparison:
    """The plays of one finding that are compared; what has ended in time counts.

    Args:
        cause: of the finding.
        draft: its smallest one.
        subject: that it was found with.
        others: the subjects to try too.
        bare: whether to play it without its faults too.
    """

    def __init__(self, cause: str, draft: Draft, subject: str, others: Collection[str], bare: bool = True) -> None:
        self.cause = cause
        self._subject = subject
        self._others = [Side(draft, other, PLAYS) for other in others]
        count = len(entries(draft.document, "faults"))
        plain = replace(draft, document=without(draft.document, faults=range(count)), parent=draft.id, cells=())
        self._bare = Side(plain, None, PLAYS_WITHOUT_FAULTS) if count and bare else None

    @property
    def _sides(self) -> Sequence[Side]:
        return [*self._others, *([self._bare] if self._bare is not None else [])]

    def next(self) -> Side | None:
        """The side that is to be played now; None if it waits for results, or is done."""
        if sum(side.under_way for side in self._sides) >= SIDE_BY_SIDE:
            return None
        side = next((side for side in self._sides if side.left), None)
        if side is not None:
            side.under_way += 1
        return side

    @property
    def is_done(self) -> bool:
        return all(side.is_done for side in self._sides)

    @property
    def tried(self) -> tuple[Tried, ...]:
        """The other subjects of which enough is known."""
        return tuple(side.tried(self._subject) for side in self._others if side.is_done and side.passed + side.failed)

    @property
    def without_faults(self) -> Tried | None:
        """The same for the subject itself without the faults; None if that was not played to its end."""
        side = self._bare
        known = side is not None and side.is_done and side.passed + side.failed
        return side.tried(self._subject) if side is not None and known else None
