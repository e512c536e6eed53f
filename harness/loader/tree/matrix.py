"""From one file to its cells: a copy of the tree for each combination of the matrix, less what is excluded."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping as AnyMapping
from collections.abc import Sequence
from dataclasses import dataclass

from harness.loader.tree.limits import MOST_CELLS, MOST_NODES_OF_CELLS
from harness.loader.tree.nodes import (
    Entry,
    Listing,
    Location,
    Mapping,
    Node,
    Position,
    Scalar,
    child,
    count,
    describe,
    find,
    items_of,
    lay_over,
    put,
    scalars,
)
from harness.loader.tree.problems import Problems, suggestion

_NAMED = {"workload": ("id", "do"), "faults": ("id", "inject"), "expect": ("id", "check", "step", "any")}
_SECTIONS = ("world", "workload", "faults", "expect")


@dataclass(frozen=True)
class Axis:
    """One line of the matrix: where it is laid, and by label what."""

    path: str
    target: Location
    position: Position
    values: AnyMapping[str, Node]
    over: bool


Labels = tuple[tuple[str, str], ...]
"""The paths of the matrix, each with the label that a cell has on it."""
Pattern = AnyMapping[str, tuple[str, ...]]
"""Which cells are meant: by path, the labels that fit."""


@dataclass(frozen=True)
class Cell:
    """One combination: its labels, and the file's tree with them laid over."""

    labels: Labels
    tree: Mapping

    @property
    def name(self) -> str:
        """The labels as a person reads them; empty without a matrix."""
        return ",".join(f"{path.rsplit('.', 1)[-1]}={label}" for path, label in self.labels)

    def fits(self, pattern: Pattern) -> bool:
        """Whether the pattern means this cell."""
        return _fits(dict(self.labels), pattern)


@dataclass(frozen=True)
class Matrix:
    """The cells of a file.

    Attributes:
        cells: every cell that is not excluded, in the order of the file; empty if no cell can be played.
        known: by number of the entry of `known`, the cells it is for; an entry that names none is for every cell.
    """

    cells: tuple[Cell, ...]
    known: AnyMapping[int, Pattern]


def read_matrix(tree: Mapping, problems: Problems) -> Matrix:
    """The matrix of a file; what is wrong with `matrix`, `exclude` or `known: cells` goes to `problems`."""
    before = len(problems)
    axes = _axes(tree, problems)
    excluded = [_read_pattern(item, axes, problems) for item in items_of(tree, "exclude")]
    if len(problems) > before:
        excluded = []  # what is sound is read all the same, so that all problems come at once
    cells = _cells(tree, axes, excluded, problems)
    return Matrix(cells, _known_patterns(tree, axes, cells, problems))


def _cells(tree: Mapping, axes: Sequence[Axis], excluded: Sequence[Pattern], problems: Problems) -> tuple[Cell, ...]:
    number = math.prod(len(axis.values) for axis in axes)
    if number > MOST_CELLS:
        place = tree.entries["matrix"].position
        shown = number if number < 10**18 else "countless"
        problems.add(place, f"a matrix of {shown} cells is too large", f"write one of at most {MOST_CELLS}")
        return ()
    kept = [labels for labels in _combinations(axes) if not _is_excluded(dict(labels), excluded)]
    # The matrix itself is not checked again for each cell.
    size = sum(count(entry.node) for key, entry in tree.entries.items() if key not in ("matrix", "exclude"))
    if len(kept) > 1 and len(kept) * size > MOST_NODES_OF_CELLS:
        message = f"{len(kept)} cells of a file with {size} keys and values are too much"
        hint = f"write fewer cells, or a shorter file: cells times keys and values may be {MOST_NODES_OF_CELLS}"
        problems.add(tree.entries["matrix"].position, message, hint)
        return ()
    if not kept:
        problems.add(tree.entries["exclude"].position, "every cell is excluded", "leave at least one to be played")
    return tuple(Cell(labels, _laid(tree, axes, dict(labels))) for labels in kept)


def _is_excluded(labels: AnyMapping[str, str], excluded: Sequence[Pattern]) -> bool:
    return any(_fits(labels, pattern) for pattern in excluded)


def _fits(cell: AnyMapping[str, str], pattern: Pattern) -> bool:
    """Whether a cell, given as path to label, has on every path of the pattern one of its labels."""
    return all(cell.get(path) in wanted for path, wanted in pattern.items())


def _known_patterns(
    tree: Mapping, axes: Sequence[Axis], cells: Sequence[Cell], problems: Problems
) -> dict[int, Pattern]:
    """The cells that each entry of `known` names; an entry that fits no cell is a problem."""
    patterns: dict[int, Pattern] = {}
    for index, item in enumerate(items_of(tree, "known")):
        node = item.get("cells") if isinstance(item, Mapping) else None
        if node is None:
            continue
        patterns[index] = pattern = _read_pattern(node, axes, problems)
        if cells and pattern and not any(cell.fits(pattern) for cell in cells):
            problems.add(node.position, "this fits no cell that is played", "compare it with `exclude`")
    return patterns


def _axes(tree: Mapping, problems: Problems) -> list[Axis]:
    """The lines of the matrix that are sound."""
    matrix = tree.get("matrix")
    if not isinstance(matrix, Mapping):
        return []
    found = []
    for path, entry in matrix.entries.items():
        target = _target(tree, str(path), entry.position, problems)
        values = _values(str(path), entry, problems)
        if target is not None and values is not None:
            over = isinstance(entry.node, Mapping)
            found.append(Axis(str(path), target, entry.position, values, over))
    return found


def _read_pattern(node: Node, axes: Sequence[Axis], problems: Problems) -> Pattern:
    """`{path: label or labels}` of `exclude` or `cells`, checked against the matrix."""
    if not isinstance(node, Mapping):
        problems.add(node.position, f"cells are named by a mapping, not {describe(node)}", "write {PATH: LABEL}")
        return {}
    by_path = {axis.path: axis for axis in axes}
    pattern: dict[str, tuple[str, ...]] = {}
    for path, entry in node.entries.items():
        axis = by_path.get(str(path))
        if axis is None:
            hint = suggestion(path, by_path, "the matrix has") or "there is no matrix; take the key out"
            problems.add(entry.position, f"the matrix has no line {str(path)!r}", hint)
            continue
        pattern[axis.path] = tuple(_label(value, axis, problems) for value in _label_nodes(entry.node, problems))
    if not node.entries:
        problems.add(node.position, "this names no cell", "write {PATH: LABEL}, or take it out")
    return pattern


def _label_nodes(node: Node, problems: Problems) -> list[Scalar]:
    found = list(scalars(node))
    if not found or (isinstance(node, Listing) and len(found) < len(node.items)):
        problems.add(node.position, f"a label is a single value, not {describe(node)}", "write LABEL or [LABEL, LABEL]")
    return found


def _label(value: Scalar, axis: Axis, problems: Problems) -> str:
    if value.text not in axis.values:
        hint = suggestion(value.text, axis.values, "it has")
        problems.add(value.position, f"the line {axis.path!r} of the matrix has no label {value.text!r}", hint)
    return value.text


def _values(path: str, entry: Entry, problems: Problems) -> dict[str, Node] | None:
    """By label, the values of a line of the matrix; None if one is malformed."""
    node = entry.node
    if isinstance(node, Mapping) and node.entries:
        wrong = [over.node for over in node.entries.values() if not isinstance(over.node, Mapping)]
        for over in wrong:
            hint = "write `label: {KEY: VALUE}`, or a list of single values for the whole line"
            problems.add(over.position, f"a label stands for a mapping of keys, not for {describe(over)}", hint)
        return None if wrong else {str(label): over.node for label, over in node.entries.items()}
    if isinstance(node, Listing) and node.items:
        values = list(scalars(node))
        for item in node.items:
            if not isinstance(item, Scalar):
                hint = "give it a label: `label: {KEY: VALUE}` in place of the list"
                problems.add(item.position, f"a list in the matrix holds single values, not {describe(item)}", hint)
        if len({value.text for value in values}) < len(values):
            problems.add(node.position, f"two values of {path!r} are the same", "take one of them out")
        return {value.text: value for value in values} if len(values) == len(node.items) else None
    hint = "write a list of single values, or `label: {KEY: VALUE}` lines"
    problems.add(node.position, f"a line of the matrix needs values, not {_emptiness(node)}", hint)
    return None


def _emptiness(node: Node) -> str:
    return describe(node) if isinstance(node, Scalar) else describe(node).replace("a ", "an empty ")


def _target(tree: Mapping, path: str, position: Position, problems: Problems) -> Location | None:
    """The location that a path `section.name.key` means; None, with a problem, if there is none."""
    section, *rest = path.split(".")
    if section not in _SECTIONS:
        problems.add(
            position, f"{path!r} leads nowhere: no section {section!r} can vary", suggestion(section, _SECTIONS)
        )
        return None
    if not rest or not all(rest):
        problems.add(position, f"{path!r} is not a path to a value", f"write `{section}.KEY` or `{section}.NAME.KEY`")
        return None
    if section == "world":
        return (section, *(_rank_number(part) for part in rest))
    index = _entry_index(tree, section, rest[0], position, problems)
    return None if index is None else (section, index, *rest[1:])


def _rank_number(part: str) -> str | int:
    return int(part) if part.isascii() and part.isdigit() and len(part) < 6 else part


def _entry_index(tree: Mapping, section: str, name: str, position: Position, problems: Problems) -> int | None:
    """The index of the entry of that name; None, with a problem, if there is none or several."""
    entries = items_of(tree, section)
    names = [raw_name(entry, section) for entry in entries]
    matching = [index for index, other in enumerate(names) if other == name]
    if len(matching) == 1:
        return matching[0]
    if matching:
        lines = " and ".join(f"line {entries[index].position.line}" for index in matching)
        problems.add(position, f"{name!r} can mean several entries of `{section}`: {lines}", "give them different ids")
        return None
    hint = suggestion(name, [other for other in names if other], "it has") or "add the entry"
    problems.add(position, f"`{section}` has no entry {name!r}", hint)
    return None


def raw_name(node: Node, section: str) -> str:
    """The name of an entry as the file gives it: its id, or its kind; empty if it has neither."""
    if not isinstance(node, Mapping):
        return ""
    for key in _NAMED[section]:
        value = node.get(key)
        if key == "any" and value is not None:
            return "any"
        if isinstance(value, Scalar) and isinstance(value.value, str):
            return value.value
        if isinstance(value, Listing):
            return "+".join(item.text for item in scalars(value))
    return ""


def _combinations(axes: Sequence[Axis]) -> list[Labels]:
    lines = [[(axis.path, label) for label in axis.values] for axis in axes]
    return [tuple(labels) for labels in itertools.product(*lines)]


def _laid(tree: Mapping, axes: Sequence[Axis], labels: AnyMapping[str, str]) -> Mapping:
    """The tree with one label of each line laid over it; later lines over earlier ones."""
    laid: Node = tree
    for axis in axes:
        value = axis.values[labels[axis.path]]
        if axis.over and isinstance(value, Mapping):
            value = lay_over(_existing(laid, axis.target), value)
        laid = put(laid, axis.target, value, _key_place(laid, axis))
    assert isinstance(laid, Mapping)
    return laid


def _key_place(tree: Node, axis: Axis) -> Position:
    """A key that the matrix brings in stands in the matrix; one that is there stays where it is."""
    parent = find(tree, axis.target[:-1])
    if isinstance(parent, Mapping) and axis.target[-1] in parent.entries:
        return parent.entries[axis.target[-1]].position
    return axis.position


def _existing(tree: Node, target: Location) -> Node | None:
    """The value at a location, or None."""
    node: Node | None = tree
    for part in target:
        node = None if node is None else child(node, part)
    return node
