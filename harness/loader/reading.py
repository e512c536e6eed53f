"""From a file to scenarios: one for each cell of its matrix, or every problem of the file."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping as AnyMapping
from pathlib import Path
from typing import Any

from harness.loader import builtin
from harness.loader.keys.models import SCHEMA
from harness.loader.resolve.cell import resolve
from harness.loader.resolve.steps import turns_of
from harness.loader.tree import document
from harness.loader.tree.file import read_text
from harness.loader.tree.limits import MOST_AXES, MOST_ENTRIES, MOST_TURNS
from harness.loader.tree.matrix import Cell, read_matrix
from harness.loader.tree.nodes import Listing, Mapping, plain, tree
from harness.loader.tree.problems import Problems, TooManyProblems
from harness.loader.tree.tidy import tidied
from harness.loader.writing import written
from harness.scenario.scenario import Scenario
from harness.values.errors import ScenarioError


def load(path: Path, job: bool = False) -> list[Scenario]:
    """The scenarios of a file, or of a name `builtin:FOLDER/NAME`: one per cell of its matrix, in the file's order.

    Args:
        job: it is played with the subject `command`: without a `workload` the job is meant, and steps are refused.

    Raises ScenarioError with every problem found, each as `file:line:column`, the line, a caret, and what to write.
    """
    return load_text(read_text(builtin.file_of(path) if builtin.is_builtin(path) else path), path, job)


def load_text(text: str, path: Path, job: bool = False) -> list[Scenario]:
    """The scenarios of a file that is read already; `path` is for messages and ids. Raises ScenarioError."""
    text = text.removeprefix("\ufeff")
    problems = Problems()
    try:
        tree = document.parse(text, problems)
        found = [] if tree is None or _is_too_long(tree, problems) else _read(tree, path, text, problems, job)
    except TooManyProblems:
        found = []
    problems.raise_if_any(path, text)
    return found


def load_keys(text: str, path: Path) -> dict[str, Any]:
    """The keys of a file that is read already, as they are written: plain values, which need not make a scenario.

    Raises ScenarioError for what is not a mapping in YAML.
    """
    problems, tree = Problems(), None
    with contextlib.suppress(TooManyProblems):
        tree = document.parse(text.removeprefix("\ufeff"), problems)
    problems.raise_if_any(path, text)
    keys: dict[str, Any] = {} if tree is None else plain(tree)
    return keys


def is_scenario(keys: AnyMapping[str, Any]) -> bool:
    """Whether a file with these keys would load.

    They are not written as YAML and read again, which takes most of the time of loading. So nothing is known of the
    limits of the text itself: its length, its numbers, and characters that no scenario may have.
    """
    problems = Problems()
    whole = tree(dict(keys))
    try:
        return (
            isinstance(whole, Mapping)
            and not _is_too_long(whole, problems)
            and bool(_read(whole, Path(), "", problems))
        )
    except (ScenarioError, TooManyProblems):
        return False


def _read(whole: Mapping, path: Path, text: str, problems: Problems, job: bool = False) -> list[Scenario]:
    """The scenarios of a file's tree; raises ScenarioError if a cell has a problem."""
    tree = tidied(whole, problems)
    matrix = read_matrix(tree, problems)
    # Where no cell is left, the file itself is read, so that all of its problems come at once.
    cells = matrix.cells or (Cell((), tree),)
    found: list[Scenario] = []
    turns = 0
    for cell in cells:
        scenario = resolve(cell, matrix.known, path, text, problems, job)
        if scenario is not None:
            found.append(scenario)
            turns += turns_of(scenario.world.size, scenario.steps)
        if turns > MOST_TURNS:
            message = f"the ranks of all cells have more than {MOST_TURNS} steps together"
            problems.add(tree.entries["matrix"].position, message, "write fewer cells, ranks or steps")
            break
    problems.raise_if_any(path, text, len(matrix.cells))
    return found


def _is_too_long(tree: Mapping, problems: Problems) -> bool:
    """Whether a list of the file, or its matrix, has more entries than one file needs, which is reported."""
    before = len(problems)
    for key, entry in tree.entries.items():
        items = entry.node.items if isinstance(entry.node, Listing) else ()
        if len(items) > MOST_ENTRIES:
            message = f"`{key}` has {len(items)} entries"
            problems.add(entry.position, message, f"write at most {MOST_ENTRIES}; one claim, one file")
    matrix = tree.get("matrix")
    if isinstance(matrix, Mapping) and len(matrix.entries) > MOST_AXES:
        message = f"a matrix of {len(matrix.entries)} lines is too large"
        problems.add(tree.entries["matrix"].position, message, f"write at most {MOST_AXES} lines")
    return len(problems) > before


def load_mapping(keys: AnyMapping[str, Any], name: str) -> list[Scenario]:
    """The scenarios of a file with these keys, for tests in Python; raises ScenarioError.

    `schema` may be left out, and `title` too, which is then the name. Problems point into the YAML of these keys.
    """
    path = Path(name if name.endswith(".rdzv.yaml") else f"{name}.rdzv.yaml")
    whole = {"schema": SCHEMA, "title": name, **keys}
    return load_text(written(whole, path), path)
