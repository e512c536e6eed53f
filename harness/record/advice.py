"""How a torch of the record stands to each failure of the catalogue, the worst first, and what a later one changes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from harness.record.catalogue import evidence, row_of_failure
from harness.record.record import Record
from harness.record.words import BAD, KEPT, NOT_APPLICABLE, UNTESTED, Change, Word
from harness.reference.failures import HARMS, STOCK, STRICT, Failure

HAS, MAY_HAVE = "has", "may have"
KINDS = (HAS, MAY_HAVE, KEPT, UNTESTED, NOT_APPLICABLE)


@dataclass(frozen=True)
class Standing:
    """How some torches stand to one failure: one that the record has, or the neighbours of one that it has not.

    Attributes:
        words: of the stock rendezvous on each of them, by their short names.
        strict: of static-strict.
        changes: when the failure was introduced and fixed, in the whole record.
        later: the word on each later torch that says something.
    """

    number: str
    failure: Failure
    words: Mapping[str, Word]
    strict: Mapping[str, Word]
    changes: Sequence[Change]
    later: Mapping[str, Word]

    @property
    def kind(self) -> str:
        """One of `KINDS`: `has` if all of them have the failure, `may have` if some have."""
        words = [word.word for word in self.words.values()]
        if any(word in BAD for word in words):
            return HAS if all(word in BAD for word in words) else MAY_HAVE
        if UNTESTED in words:
            return UNTESTED
        return KEPT if KEPT in words else NOT_APPLICABLE

    @property
    def rank(self) -> tuple[int, int, str]:
        """Smaller is worse: by harm, then by how much of it was seen, then by number."""
        seen = [BAD.index(word.word) for word in self.words.values() if word.is_bad]
        return list(HARMS).index(self.failure.harm), min(seen, default=len(BAD)), self.number


def standings(record: Record, failures: Mapping[str, Failure], torches: Sequence[str]) -> list[Standing]:
    """One for each failure that a scenario shows, the worst first.

    Args:
        torches: builds of the record, oldest first; at least one.
    """
    shown = [number for number in failures if evidence(record.scenarios, number)]
    found = [_standing(record, number, failures[number], torches) for number in shown]
    return sorted(found, key=lambda standing: standing.rank)


def not_shown(record: Record, failures: Mapping[str, Failure]) -> list[str]:
    """The failures that no scenario shows, so that no record knows of them."""
    return [number for number in failures if not evidence(record.scenarios, number)]


def _standing(record: Record, number: str, failure: Failure, torches: Sequence[str]) -> Standing:
    stock, strict = (row_of_failure(record, subject, number) for subject in (STOCK, STRICT))
    behind = record.torches[record.torches.index(torches[-1]) + 1 :]
    return Standing(
        number,
        failure,
        {record.labels[torch]: stock.words[torch] for torch in torches},
        {record.labels[torch]: strict.words[torch] for torch in torches},
        stock.changes(record.labels),
        {record.labels[torch]: stock.words[torch] for torch in behind if stock.words[torch].is_tested},
    )


def played(record: Record, torch: str) -> Mapping[str, int]:
    """How many plays of today's scenarios say something, by subject."""
    counts = {}
    for subject in (STOCK, STRICT):
        plays = [play for cell in record.scenarios for play in record.plays(subject, torch, cell).values()]
        counts[subject] = sum(play.is_conclusive for play in plays)
    return counts
