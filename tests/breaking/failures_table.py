"""The table of the failure catalogue: how stock and static-strict handle each, from the scenario files.

python tests/breaking/failures_table.py [--write]

prints what `docs/failures.md` should be, or writes it. What no scenario shows is in `harness/reference/failures.yaml`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from ruamel.yaml import YAML
from scenarios_table import SCENARIOS, SUFFIX, put

from harness.loader import load
from harness.scenario.scenario import Known

ROOT = SCENARIOS.parent
PAGE = ROOT / "docs" / "failures.md"
BEGIN, END = "<!-- failures: what tests/breaking/failures_table.py writes -->", "<!-- end of failures -->"
STOCK, STRICT = "static", "static-strict"


@dataclass
class Shown:
    """What the files show of one failure: which files name it, and which each subject breaks because of it."""

    files: set[str] = field(default_factory=set)
    broken: dict[str, set[str]] = field(default_factory=lambda: {STOCK: set(), STRICT: set()})
    because: list[str] = field(default_factory=list)

    def of(self, subject: str) -> str:
        """The word for a subject."""
        if subject == STOCK:
            return "breaks it" if self.broken[STOCK] else "holds"
        if not self.broken[STRICT]:
            return "removed" if self.broken[STOCK] else "holds"
        return "in part" if self.broken[STOCK] - self.broken[STRICT] else "remains"


def failures() -> dict[str, dict[str, Any]]:
    """By number, as `harness/reference/failures.yaml` has them."""
    listed: dict[str, dict[str, Any]] = YAML(typ="safe").load(ROOT / "harness" / "reference" / "failures.yaml")
    return listed


def shown() -> dict[str, Shown]:
    """By number, as the scenarios have them."""
    found = {number: Shown() for number in failures()}
    for path in sorted(SCENARIOS.rglob(f"*{SUFFIX}")):
        for cell in load(path):
            for number in found.keys() & set(cell.refs):
                found[number].files.add(path.name)
            for entry in cell.known:
                for number in found.keys() & set(entry.refs):
                    _note(found[number], entry, path.name)
    return found


def _note(failure: Shown, entry: Known, name: str) -> None:
    if entry.subject in failure.broken:
        failure.files.add(name)
        failure.broken[entry.subject].add(name)
    if entry.subject == STRICT:
        where = f"torch {entry.torch}: " if entry.torch else ""
        failure.because += [why for why in [f"{where}{entry.because}"] if why not in failure.because]


def table(text: str) -> str:
    """The page, with new rows."""
    before, rest = text.split(BEGIN)
    after = rest.split(END)[1]
    return f"{before}{BEGIN}\n\n" + "".join(f"{line}\n" for line in _lines()) + f"\n{END}{after}"


def _lines() -> Iterator[str]:
    yield "| | failure | scenarios | static | static-strict | why, or what remains |"
    yield "| --- | --- | --- | --- | --- | --- |"
    by_files = shown()
    for number, listed in failures().items():
        files = by_files[number]
        words = [listed.get(key) or files.of(subject) for key, subject in (("stock", STOCK), ("strict", STRICT))]
        why = listed.get("note") or "; ".join(files.because)
        cells = (number, listed["failure"], str(len(files.files) or ""), *words, why)
        yield "".join(f"| {cell} " if cell else "| " for cell in cells) + "|"


if __name__ == "__main__":
    put(PAGE, table(PAGE.read_text(encoding="utf-8")), __doc__)
