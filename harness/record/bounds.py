"""Whether the record confirms the versions that `known` entries name, and between which releases they end."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

from harness.judge.known import torch_fits
from harness.record.identity import cell_name
from harness.record.record import Record, entries_of
from harness.record.words import release
from harness.scenario.scenario import Known, Scenario

CONFIRMED, CONTRADICTED, OPEN = "confirmed", "contradicted", "open"


@dataclass(frozen=True)
class Bound:
    """A `known` entry with a range of versions, beside what was played.

    Attributes:
        word: `confirmed`: the plays agree, on both sides of each end. `contradicted`: a play says otherwise. `open`:
            one side of an end was not played.
        because: which plays say so, or between which releases the end lies.
    """

    scenario: Scenario
    entry: Known
    word: str
    because: str

    def __str__(self) -> str:
        where = f"{self.scenario.path}:{self.entry.line} ({cell_name(self.scenario)})"
        return f"{self.word}: {where}: {self.entry.subject}, torch {self.entry.torch}: {self.because}"


def bounds(record: Record) -> Iterator[Bound]:
    """Every entry of today's scenarios that has a range of versions, in their order."""
    for scenario in record.scenarios:
        for subject in dict.fromkeys(entry.subject for entry in scenario.known):
            entries = entries_of(scenario, subject)
            yield from (_bound(record, scenario, entry, entries) for entry in entries if entry.torch)


def _bound(record: Record, scenario: Scenario, entry: Known, entries: list[Known]) -> Bound:
    """An entry against each torch; one that another entry speaks of is not outside of anything."""
    seen: list[tuple[str, bool, bool]] = []
    for torch in record.torches:
        breaks = _breaks(record, scenario, entry, torch)
        inside = torch_fits(entry.torch, str(release(torch)))
        others = any(one is not entry and _fits(one, torch) and set(one.breaks) == set(entry.breaks) for one in entries)
        if breaks is not None and not (others and not inside):
            seen.append((record.labels[torch], inside, breaks))
    wrong = [
        f"torch {label} {'breaks' if breaks else 'does not break'} {', '.join(entry.breaks)}"
        for label, inside, breaks in seen
        if breaks != inside
    ]
    if wrong:
        return Bound(scenario, entry, CONTRADICTED, "; ".join(wrong))
    ends = [f"({a[0]}, {b[0]}]" for a, b in pairwise(seen) if a[1] != b[1]]
    if ends:
        return Bound(scenario, entry, CONFIRMED, f"the end lies in {' and '.join(ends)}")
    side = "inside" if seen and seen[0][1] else "outside" if seen else "neither side"
    return Bound(scenario, entry, OPEN, f"the record has {'only ' if seen else ''}{side} of the range")


def _fits(entry: Known, torch: str) -> bool:
    return torch_fits(entry.torch, str(release(torch)))


def _breaks(record: Record, scenario: Scenario, entry: Known, torch: str) -> bool | None:
    """Whether most plays of a torch break what the entry names and nothing else; None if no play says anything."""
    if not record.word(entry.subject, torch, scenario).is_tested:
        return None
    said = [play for play in record.plays(entry.subject, torch, scenario).values() if play.is_conclusive]
    return 2 * sum(set(play.broken) == set(entry.breaks) for play in said) > len(said)
