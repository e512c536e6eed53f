"""From one file to its cells: a copy of the tree for each combination of the matrix, less what is excluded."""

from __future__ import annotations

import itertools
from collections.abc import Mapping as AnyMapping
from dataclasses import dataclass

from harness.loader.tree.nodes import (
    Entry,
    Listing,
    Location,
    Mapping,
    Node,
    Position,
    Scalar,
    child,
    describe,
    find,
    lay_over,
    put,
    scalars,
)
from harness.loader.tree.problems import Problems, suggestion

MOST_CELLS = 1000
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


@dataclass(frozen=True)
class Cell:
    """One combination: its labels, and the file's tree with them laid over."""

    labels: tuple[tuple[str, str], ...]
    tree: Mapping

    @property
    def name(self) -> str:
        """The labels as a person reads them; empty without a matrix."""
        return ",".join(f"{path.rsplit('.', 1)[-1]}={label}" for path, label in self.labels)


def cells_of(tree: Mapping, problems: Problems) -> list[Cell]:
    """Every cell that is not excluded, in the order of the file; empty if there are too many, or none is left."""
    before = len(problems)
    axes = axes_of(tree, problems)
    excluded = _excluded(tree, axes, problems)
    if len(problems) > before:
        excluded = []  # what is sound is read all the same, so that all problems come at once
    count = 1
    for axis in axes:
        count *= len(axis.values)
    if count > MOST_CELLS:
        place = tree.entries["matrix"].position
        problems.add(place, f"a matrix of {count} cells is too large", f"write one of at most {MOST_CELLS}")
        return []
    kept = [labels for labels in _combinations(axes) if not any(fits(labels, pattern) for pattern in excluded)]
    if not kept:
        problems.add(tree.entries["exclude"].position, "every cell is excluded", "leave at least one to be played")
    return [Cell(labels, _laid(tree, axes, dict(labels))) for labels in kept]


def axes_of(tree: Mapping, problems: Problems) -> list[Axis]:
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


def fits(labels: tuple[tuple[str, str], ...], pattern: AnyMapping[str, tuple[str, ...]]) -> bool:
    """Whether a cell has, on every path of the pattern, one of its labels."""
    cell = dict(labels)
    return all(cell.get(path) in wanted for path, wanted in pattern.items())


def read_pattern(node: Node, axes: list[Axis], problems: Problems) -> dict[str, tuple[str, ...]]:
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


def _excluded(tree: Mapping, axes: list[Axis], problems: Problems) -> list[dict[str, tuple[str, ...]]]:
    exclude = tree.get("exclude")
    return [read_pattern(item, axes, problems) for item in exclude.items] if isinstance(exclude, Listing) else []


def _values(path: str, entry: Entry, problems: Problems) -> dict[str, Node] | None:
    """By label, what a line of the matrix lays over."""
    node = entry.node
    if isinstance(node, Mapping) and node.entries:
        wrong = [over.node for over in node.entries.values() if not isinstance(over.node, Mapping)]
        for over in wrong:
            hint = "write `label: {KEY: VALUE}`, or a list of single values for the whole line"
            problems.add(over.position, f"what is laid over an entry is a mapping, not {describe(over)}", hint)
        return None if wrong else {str(label): over.node for label, over in node.entries.items()}
    if isinstance(node, Listing) and node.items:
        values = list(scalars(node))
        for item in node.items:
            if not isinstance(item, Scalar):
                hint = "give it a label: `label: {KEY: VALUE}` in place of the list"
                problems.add(item.position, f"a value in a list is a single one, not {describe(item)}", hint)
        if len({value.text for value in values}) < len(values):
            problems.add(node.position, f"two values of {path!r} are the same", "take one of them out")
        return {value.text: value for value in values} if len(values) == len(node.items) else None
    hint = "write a list of single values, or `label: {KEY: VALUE}` lines"
    problems.add(node.position, f"a line of the matrix has values, not {_emptiness(node)}", hint)
    return None


def _emptiness(node: Node) -> str:
    return describe(node) if isinstance(node, Scalar) else f"{describe(node)} that is empty"


def _target(tree: Mapping, path: str, position: Position, problems: Problems) -> Location | None:
    """Where a path `section.name.key` leads; None if nowhere, which is told."""
    section, *rest = path.split(".")
    if section not in _SECTIONS:
        problems.add(
            position, f"{path!r} leads nowhere: no section {section!r} can vary", suggestion(section, _SECTIONS)
        )
        return None
    if not rest or not all(rest):
        problems.add(position, f"{path!r} is no path to a value", f"write `{section}.KEY` or `{section}.NAME.KEY`")
        return None
    if section == "world":
        return (section, *(_rank_number(part) for part in rest))
    index = _entry_index(tree, section, rest[0], position, problems)
    return None if index is None else (section, index, *rest[1:])


def _rank_number(part: str) -> str | int:
    return int(part) if part.isascii() and part.isdigit() and len(part) < 6 else part


def _entry_index(tree: Mapping, section: str, name: str, position: Position, problems: Problems) -> int | None:
    """The number of the entry of that name."""
    listing = tree.get(section)
    entries = list(listing.items) if isinstance(listing, Listing) else []
    names = [raw_name(entry, section) for entry in entries]
    matching = [index for index, other in enumerate(names) if other == name]
    if len(matching) == 1:
        return matching[0]
    if matching:
        lines = " and ".join(f"line {entries[index].position.line}" for index in matching)
        problems.add(position, f"{name!r} is not one entry of `{section}`: {lines}", "give them different ids")
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


def _combinations(axes: list[Axis]) -> list[tuple[tuple[str, str], ...]]:
    lines = [[(axis.path, label) for label in axis.values] for axis in axes]
    return [tuple(labels) for labels in itertools.product(*lines)]


def _laid(tree: Mapping, axes: list[Axis], labels: AnyMapping[str, str]) -> Mapping:
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
    node: Node | None = tree
    for part in target:
        node = None if node is None else child(node, part)
    return node
