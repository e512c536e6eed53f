"""The failures of the catalogue on each torch, from the cells that show them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.record.record import Record
from harness.record.words import Change, Word, changes, together
from harness.scenario.scenario import Scenario


@dataclass(frozen=True)
class Row:
    """One failure or one cell with one subject: its word on each torch of the record, oldest first."""

    subject: str
    words: Mapping[str, Word]

    def changes(self, labels: Mapping[str, str]) -> Sequence[Change]:
        """When it was introduced, and when it was fixed, by the short names of releases."""
        return list(changes([(labels[torch], word) for torch, word in self.words.items()]))


def row_of_cell(record: Record, subject: str, scenario: Scenario) -> Row:
    """How each torch stands to one cell."""
    return Row(subject, {torch: record.word(subject, torch, scenario) for torch in record.torches})


def row_of_failure(record: Record, subject: str, number: str) -> Row:
    """How each torch stands to a failure: broken if a cell that shows it is broken."""
    return row_of_cells(record, subject, evidence(record.scenarios, number))


def row_of_cells(record: Record, subject: str, cells: Sequence[Scenario]) -> Row:
    """How each torch stands to several cells together."""
    rows = [row_of_cell(record, subject, cell).words for cell in cells]
    return Row(subject, {torch: together([words[torch] for words in rows]) for torch in record.torches})


def files_of(cells: Sequence[Scenario]) -> list[list[Scenario]]:
    """The cells of each file, in the order of the files."""
    found: dict[Path, list[Scenario]] = {}
    for cell in cells:
        found.setdefault(cell.path, []).append(cell)
    return list(found.values())


def evidence(scenarios: Sequence[Scenario], number: str) -> list[Scenario]:
    """The cells that show a failure: those whose `known` entries name it, else those that name it themselves."""
    showing = [cell for cell in scenarios if number in _known_refs(cell)]
    return showing or [cell for cell in scenarios if number in cell.refs]


def _known_refs(cell: Scenario) -> Iterator[str]:
    place = dict(cell.cell)
    for entry in cell.known:
        if all(place.get(path) in labels for path, labels in entry.cells.items()):
            yield from entry.refs
