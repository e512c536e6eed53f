"""The record as Markdown pages: failures on each torch, each with its evidence, and what changed between releases."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from harness.record.bounds import bounds
from harness.record.catalogue import Row, evidence, files_of, row_of_cells, row_of_failure
from harness.record.difference import Cells, Difference, differences
from harness.record.identity import digest
from harness.record.record import Record
from harness.record.words import BROKEN, DIFFERENTLY, UNTESTED, Word
from harness.reference.failures import STRICT, Failure, Shown, shown_by
from harness.reports.parts.markdown import table_line, text
from harness.scenario.builtin import PREFIX
from harness.scenario.scenario import Scenario

Link = Callable[[str, str], str]
"""The address of the results of a subject and a torch build, from the page."""

HOW = "`rdzv-harness record show --format md --output docs`"
_LOUD = (BROKEN, DIFFERENTLY)


@dataclass(frozen=True)
class Sources:
    """What the pages are made of.

    Attributes:
        failures: the catalogue, by number.
        link: to the files that the words are derived from.
    """

    record: Record
    failures: Mapping[str, Failure]
    link: Link

    def shown(self) -> dict[str, Shown]:
        """What today's scenarios show of each failure."""
        return shown_by(self.failures, self.record.scenarios)


def track_record(sources: Sources) -> str:
    """The page of failures and releases."""
    return "".join(f"{line}\n" for line in _track_record(sources))


def _track_record(sources: Sources) -> Iterator[str]:
    record, shown = sources.record, sources.shown()
    yield from ("# The track record", "")
    yield "Which failure of [the catalogue](failures.md) which torch has. All words are derived from plays by"
    yield f"{HOW}; [what changed between releases](behaviour.md) is a page of its own."
    yield from ("", *_legend(), "")
    numbers = [number for number in sources.failures if evidence(record.scenarios, number)]
    for subject in record.subjects:
        yield from (f"## {_subject(subject)}", "", *_head(record, ["failure"]))
        for number in numbers:
            row = row_of_failure(record, subject, number)
            name = f"[{number}](#{number.lower()}) {text(sources.failures[number].failure)}"
            yield table_line(
                [name, *(_linked(word, f"#{number.lower()}") for word in row.words.values()), _when(record, row)]
            )
        yield ""
    for number in numbers:
        yield from _failure(sources, number, shown[number])
    yield from _bounds(record)
    yield from _references(sources)


def _legend() -> list[str]:
    return [
        "- *kept*: no play of a scenario that shows the failure broke a claim.",
        "- *broken*: every play broke the claims that the scenario lists as known.",
        "- *broken differently*: every play broke claims, but not those. *flaky k of n*: k of n plays broke a claim.",
        "- *not applicable*: the scenario needs another torch. *untested*: no play had a verdict.",
        "- *introduced in (a, b]*: a keeps it, and b, the next that was played, breaks it. A failure may come and go.",
    ]


def _subject(subject: str) -> str:
    return f"`{subject}`"


def _head(record: Record, before: Sequence[str]) -> list[str]:
    names = [*before, *(record.labels[torch] for torch in record.torches), "changes"]
    return [table_line(names), table_line(["---"] * len(names))]


def _linked(word: Word, address: str) -> str:
    shown = f"**{word}**" if word.word in _LOUD else str(word)
    return shown if word.word == UNTESTED else f"[{shown}]({address})"


def _when(record: Record, row: Row) -> str:
    return "; ".join(map(str, row.changes(record.labels)))


def _failure(sources: Sources, number: str, shown: Shown) -> Iterator[str]:
    record, failure = sources.record, sources.failures[number]
    yield from (f"## {number}", "", f"**{failure.failure}.** {failure.see}.", "")
    yield f"What helps: {failure.helps}."
    because = f" ({'; '.join(shown.because)})" if shown.because else ""
    yield from ("", f"`static-strict`: {shown.of(STRICT)}{because}.")
    if shown.upstream:
        yield from ("", f"Upstream: {', '.join(map(_issue, sorted(shown.upstream)))}.")
    yield from ("", *_head(record, ["scenario", "subject"]))
    for cells in files_of(evidence(record.scenarios, number)):
        for subject in record.subjects:
            row = row_of_cells(record, subject, cells)
            words = [_evidence(subject, record.labels[torch], word) for torch, word in row.words.items()]
            yield table_line([_link_of(cells[0]), _subject(subject), *words, _when(record, row)])
    yield ""


def _evidence(subject: str, label: str, word: Word) -> str:
    """A word with its counts, as a link by reference: a page has thousands of them."""
    if not word.is_tested:
        return str(word)
    shown = f"**{word.word}**" if word.word in _LOUD else word.word
    return f"[{shown} {word.broken}/{word.plays}][{subject} {label}]"


def _references(sources: Sources) -> Iterator[str]:
    record = sources.record
    for subject in record.subjects:
        for torch in record.torches:
            if record.of(subject, torch) is not None:
                yield f"[{subject} {record.labels[torch]}]: {sources.link(subject, torch)}"


def _scenario(cell: Scenario) -> str:
    return _link_of(cell) + (f" ({text(cell.cell_id)})" if cell.cell else "")


def _link_of(cell: Scenario) -> str:
    """The title of a scenario, which leads to its file if it ships with the harness."""
    name = str(cell.path)
    if not name.startswith(PREFIX):
        return text(cell.title)
    return f"[{text(cell.title)}](../scenarios/{name.removeprefix(PREFIX)}.rdzv.yaml)"


def _issue(ref: str) -> str:
    repository, _, number = ref.partition("#")
    return f"[{ref}](https://github.com/{repository}/issues/{number})"


def _bounds(record: Record) -> Iterator[str]:
    found = list(bounds(record))
    yield from ("## Ranges of `known` entries", "")
    yield "Entries of scenarios that name versions of torch, beside what was played (`rdzv-harness record known`)."
    yield from ("", table_line(["scenario", "subject", "torch", "word", "why"]), table_line(["---"] * 5))
    for one in found:
        entry = one.entry
        yield table_line(
            [_scenario(one.scenario), _subject(entry.subject), text(entry.torch), one.word, text(one.because)]
        )
    yield ""


# -- what changed between neighbours ------------------------------------------------------------------------------


def behaviour(sources: Sources) -> str:
    """The page of what changed from each release to the next that was played."""
    return "".join(f"{line}\n" for line in _behaviour(sources.record))


def _behaviour(record: Record) -> Iterator[str]:
    yield from ("# What changed between releases", "")
    yield "Of each two neighbours of [the track record](track-record.md): claims that break or hold, how calls end,"
    yield f"the class and the message of an error, and the time to it. Written by {HOW}."
    yield "Addresses, ports, pids, pointers, paths, source lines and durations are replaced, and case is not."
    yield "A difference was in every play of one release and in none of the other; times are medians with their range."
    cells = today(record)
    for subject in record.subjects:
        played = [torch for torch in record.torches if record.of(subject, torch) is not None]
        for before, after in pairwise(played):
            one, other = record.of(subject, before), record.of(subject, after)
            assert one is not None
            assert other is not None
            yield from ("", f"## {_subject(subject)}: {record.labels[before]} to {record.labels[after]}", "")
            yield from _table(differences(one, other, cells), record.cells)


def today(record: Record) -> Cells:
    """The cells as they are today."""
    return {(name, digest(scenario)) for name, scenario in record.cells.items()}


def _table(found: Sequence[Difference], scenarios: Mapping[str, Scenario]) -> Iterator[str]:
    if not found:
        yield "Nothing differs."
        return
    yield table_line(["scenario", "claim", "what", "before", "after"])
    yield table_line(["---"] * 5)
    for one in found:
        claim = text(one.claim) or "all"
        yield table_line([_scenario(scenarios[one.cell]), claim, one.kind, text(one.before), text(one.after)])


PAGES: Mapping[Path, Callable[[Sources], str]] = {
    Path("track-record.md"): track_record,
    Path("behaviour.md"): behaviour,
}
"""By their names in the folder `docs`."""
