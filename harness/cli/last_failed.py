"""`--last-failed`: which cells were red when they were played last, kept in a small file beside the run directories."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Sequence
from pathlib import Path

from harness.archive.files import MOST_BYTES_OF_TEXT, Damaged, Gone, json_of, read_bytes, text_of
from harness.judge.result import Result
from harness.machine.whole import whole_file
from harness.reports.parts.facts import RED
from harness.scenario.scenario import Scenario
from harness.values.verdict import SKIPPED

FILE = ".last-failed.json"

Key = tuple[str, str]
"""A cell: the path of its file without links, and its id in the matrix."""


def key(cell: Scenario) -> Key:
    return (os.path.realpath(cell.path), cell.cell_id)


def read(runs_dir: Path) -> frozenset[Key]:
    """The cells that were red; empty if nothing is known, also if the file is damaged: it only saves time."""
    path = runs_dir / FILE
    try:
        rows = json_of(path, text_of(path, read_bytes(path, MOST_BYTES_OF_TEXT)))
    except (Damaged, Gone):
        return frozenset()
    return frozenset((row[0], row[1]) for row in rows if _is_key(row)) if isinstance(rows, list) else frozenset()


def _is_key(row: object) -> bool:
    return isinstance(row, list) and len(row) == 2 and all(isinstance(one, str) for one in row)


def after(before: Iterable[Key], results: Sequence[Result]) -> frozenset[Key]:
    """The cells that are red after a run: its own red ones, and those of before that it did not play."""
    played = {key(result.scenario) for result in results if result.status != SKIPPED}
    red = {key(result.scenario) for result in results if result.status in RED}
    return (frozenset(before) - played) | red


def remember(runs_dir: Path, results: Sequence[Result]) -> None:
    """Store what is red after a run; nothing where there is no folder of run directories.

    Raises HarnessError if it cannot be written.
    """
    if not runs_dir.is_dir():
        return
    red = [list(cell) for cell in sorted(after(read(runs_dir), results)) if os.path.lexists(cell[0])]
    with whole_file(runs_dir / FILE) as partial:
        partial.write_text(json.dumps(red, indent=0), encoding="utf-8")


def narrow(cells: Sequence[Scenario], red: frozenset[Key]) -> list[Scenario]:
    """Those of the cells that were red."""
    return [cell for cell in cells if key(cell) in red]
