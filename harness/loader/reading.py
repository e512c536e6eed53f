"""From a file to scenarios: one for each cell of its matrix, or every problem of the file."""

from __future__ import annotations

import io
from collections.abc import Mapping as AnyMapping
from pathlib import Path
from typing import Any

from harness.loader.keys.models import SCHEMA
from harness.loader.resolve.cell import resolve
from harness.loader.tree import document
from harness.loader.tree.matrix import Cell, read_matrix
from harness.loader.tree.problems import Problems
from harness.loader.tree.tidy import tidied
from harness.scenario.scenario import Scenario
from harness.values.errors import ScenarioError


def load(path: Path) -> list[Scenario]:
    """The scenarios of a file, one per cell of its matrix, in the order of the file.

    Raises ScenarioError with every problem found, each as `file:line:column`, the line, a caret, and what to write.
    """
    return load_text(document.read_text(path), path)


def load_text(text: str, path: Path) -> list[Scenario]:
    """The scenarios of a file that is read already; `path` is for messages and ids. Raises ScenarioError."""
    text = text.removeprefix("\ufeff")
    problems = Problems()
    tree = document.parse(text, problems)
    if tree is None:
        problems.raise_if_any(path, text)
        return []
    tree = tidied(tree, problems)
    matrix = read_matrix(tree, problems)
    # Where no cell is left, the file itself is read, so that all of its problems come at once.
    cells = matrix.cells or (Cell((), tree),)
    found = [resolve(cell, matrix.known, path, text, problems) for cell in cells]
    problems.raise_if_any(path, text, len(matrix.cells))
    return [scenario for scenario in found if scenario is not None]


def load_mapping(keys: AnyMapping[str, Any], name: str) -> list[Scenario]:
    """The scenarios of a file with these keys, for tests in Python; raises ScenarioError.

    `schema` may be left out, and `title` too, which is then the name. Problems point into the YAML of these keys.
    """
    path = Path(name if name.endswith(".rdzv.yaml") else f"{name}.rdzv.yaml")
    whole = {"schema": SCHEMA, "title": name, **keys}
    return load_text(_written(whole, path), path)


def _written(keys: AnyMapping[str, Any], path: Path) -> str:
    """The keys as a YAML file."""
    from ruamel.yaml import YAML
    from ruamel.yaml.error import YAMLError

    writer = YAML(typ="safe", pure=True)
    writer.default_flow_style = False
    writer.sort_base_mapping_type_on_output = False  # type: ignore[assignment]
    writer.representer.ignore_aliases = lambda *_: True
    target = io.StringIO()
    try:
        writer.dump(_listed(dict(keys)), target)
    except (YAMLError, RecursionError, TypeError, ValueError) as error:
        hint = "give dicts, lists, text, numbers and flags only"
        raise ScenarioError([f"{path}: these keys cannot be written as YAML: {error}\n  {hint}"]) from None
    return target.getvalue()


def _listed(value: Any) -> Any:
    """Tuples as lists, so that they are written as such."""
    if isinstance(value, AnyMapping):
        return {key: _listed(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_listed(one) for one in value]
    return value
