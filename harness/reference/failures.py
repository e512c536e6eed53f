"""The failure catalogue: `failures.yaml`, and what the scenarios that ship with the harness show of each failure."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from harness.loader import builtin, load, load_keys
from harness.scenario.scenario import Known, Scenario

FILE = Path(__file__).with_name("failures.yaml")
STOCK, STRICT = "static", "static-strict"
HARMS: Mapping[str, str] = {
    "wrong": "goes on with a wrong world or wrong data",
    "hangs": "waits long after it should",
    "fails": "ends although it could go on",
    "late": "is slower than it says",
    "unclear": "gives errors or answers that do not say what is meant",
}
"""What a failure does to a job, the worst first; a failure that does several things has the worst of them."""
_NUMBER = re.compile(r"F\d\d")
_UPSTREAM = re.compile(r"[\w.-]+/[\w.-]+#\d+")


@dataclass(frozen=True)
class Failure:
    """One failure that users, maintainers or exploration have met.

    Attributes:
        harm: one of `HARMS`.
        see: what users see, in the words of their logs where these are known.
        helps: what helps today.
    """

    failure: str
    harm: str
    see: str
    helps: str


@dataclass
class Shown:
    """What the scenarios show of one failure.

    Attributes:
        titles: by its built-in name, the title of each scenario that names the failure.
        broken: by subject, the scenarios that it breaks because of this failure.
        known: by scenario, every known failure of it, also those that are because of another failure.
        because: why static-strict breaks what it breaks.
        upstream: issues of which scenarios that name no other failure say that they are about it.
    """

    titles: dict[Path, str] = field(default_factory=dict)
    broken: dict[str, set[Path]] = field(default_factory=lambda: {STOCK: set(), STRICT: set()})
    known: dict[Path, list[Known]] = field(default_factory=dict)
    because: list[str] = field(default_factory=list)
    upstream: set[str] = field(default_factory=set)

    def of(self, subject: str) -> str:
        """The word for a subject."""
        if subject == STOCK:
            return "breaks it" if self.broken[STOCK] else "holds"
        if not self.broken[STRICT]:
            return "removed" if self.broken[STOCK] else "holds"
        return "in part" if self.broken[STOCK] - self.broken[STRICT] else "remains"


@cache
def failures() -> Mapping[str, Failure]:
    """By number, in their order."""
    listed = load_keys(FILE.read_text(encoding="utf-8"), FILE)
    return {number: Failure(**entry) for number, entry in listed.items()}


def is_number(word: str) -> bool:
    """Whether a word looks like the number of a failure that there is: `F02`, also `f2`."""
    return re.fullmatch(r"[Ff]\d{1,2}", word) is not None and number_of(word) in failures()


def number_of(word: str) -> str:
    """`F02` for `f2`."""
    return f"F{int(word[1:]):02d}"


def shown(numbers: Collection[str]) -> dict[str, Shown]:
    """By number, what the scenarios that ship with the harness show."""
    return shown_by(numbers, _shipped(numbers))


def _shipped(numbers: Collection[str]) -> Iterator[Scenario]:
    for name in builtin.shipped():
        if set(numbers) & set(_NUMBER.findall(builtin.file_of(name).read_text(encoding="utf-8"))):
            yield from load(name)


def shown_by(numbers: Collection[str], cells: Iterable[Scenario]) -> dict[str, Shown]:
    """By number, what these cells show."""
    found = {number: Shown() for number in numbers}
    for cell in cells:
        _note_cell(found, cell, cell.path)
    return found


def _note_cell(found: Mapping[str, Shown], cell: Scenario, name: Path) -> None:
    for number in found.keys() & set(cell.refs):
        _note(found[number], cell, name)
    for entry in cell.known:
        for number in found.keys() & set(entry.refs):
            _note_known(found[number], entry, cell, name)


def _note(failure: Shown, cell: Scenario, name: Path) -> None:
    failure.titles[name] = cell.title
    entries = failure.known.setdefault(name, [])
    entries += [entry for entry in cell.known if entry not in entries]
    if len([ref for ref in cell.refs if _NUMBER.fullmatch(ref)]) == 1:
        failure.upstream |= set(filter(_UPSTREAM.fullmatch, cell.refs))


def _note_known(failure: Shown, entry: Known, cell: Scenario, name: Path) -> None:
    if entry.subject in failure.broken:
        _note(failure, cell, name)
        failure.broken[entry.subject].add(name)
    if entry.subject == STRICT:
        where = f"torch {entry.torch}: " if entry.torch else ""
        failure.because += [why for why in [f"{where}{entry.because}"] if why not in failure.because]
