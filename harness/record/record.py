"""A whole record beside today's scenarios: which cell stands how on which torch, and what is out of date."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from harness.record.document import Plays, Results
from harness.record.identity import cell_name, digest
from harness.record.words import Word, applies, in_order, word_of
from harness.scenario.scenario import Known, Scenario


@dataclass(frozen=True)
class Record:
    """Results of any number of torch builds and subjects, and the scenarios that are there today.

    Args:
        results: one for each torch build and subject.
        scenarios: each cell once; results of any other text of a scenario are ignored.
    """

    results: Sequence[Results]
    scenarios: Sequence[Scenario]

    @cached_property
    def cells(self) -> Mapping[str, Scenario]:
        """Today's cells by their names."""
        return {cell_name(scenario): scenario for scenario in self.scenarios}

    @cached_property
    def subjects(self) -> Sequence[str]:
        return sorted({one.subject for one in self.results})

    @cached_property
    def torches(self) -> Sequence[str]:
        """Every build that the record has, oldest first."""
        return in_order({one.torch for one in self.results})

    @cached_property
    def labels(self) -> Mapping[str, str]:
        """The short name of each build: without what stands behind its `+`, unless two builds differ in that only."""
        short = {torch: torch.split("+")[0] for torch in self.torches}
        names = list(short.values())
        return {torch: name if names.count(name) == 1 else torch for torch, name in short.items()}

    def of(self, subject: str, torch: str) -> Results | None:
        """The results of a subject with a torch build; None if there are none."""
        return self._by_key.get((subject, torch))

    @cached_property
    def _by_key(self) -> Mapping[tuple[str, str], Results]:
        return {(one.subject, one.torch): one for one in self.results}

    def plays(self, subject: str, torch: str, scenario: Scenario) -> Plays:
        """The plays of a cell as it is today."""
        results = self.of(subject, torch)
        return {} if results is None else results.plays(cell_name(scenario), digest(scenario))

    def word(self, subject: str, torch: str, scenario: Scenario) -> Word:
        """How a torch stands to a cell."""
        breaks = [entry.breaks for entry in entries_of(scenario, subject)]
        return word_of(self.plays(subject, torch, scenario).values(), breaks, applies(scenario, torch))

    def out_of_date(self) -> list[str]:
        """A sentence for each file of results of which something is ignored."""
        return [sentence for one in self.results if (sentence := self._out_of_date(one))]

    def _out_of_date(self, results: Results) -> str:
        today = {(name, digest(scenario)) for name, scenario in self.cells.items()}
        stored = {(cell, text) for cell, texts in results.cells.items() for text in texts}
        old = sorted({cell for cell, _ in stored - today})
        if not old:
            return ""
        more = f" and {len(old) - 3} more" if len(old) > 3 else ""
        cells = f"{', '.join(old[:3])}{more}"
        return f"{results.subject}, torch {results.torch}: ignored, their scenarios have changed since: {cells}"


def entries_of(scenario: Scenario, subject: str) -> list[Known]:
    """The `known` entries of a cell for a subject, whatever torch they are for."""
    cell = dict(scenario.cell)
    return [
        entry
        for entry in scenario.known
        if entry.subject == subject and all(cell.get(path) in labels for path, labels in entry.cells.items())
    ]
