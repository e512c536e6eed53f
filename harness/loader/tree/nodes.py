"""A file as a tree whose keys and values have positions, and the operations that a matrix needs on it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

Location = tuple[str | int, ...]
"""The way from the top of the file to a value: keys and numbers of list items."""


@dataclass(frozen=True, order=True)
class Position:
    """A place in the text, both counted from 1."""

    line: int
    column: int


@dataclass(frozen=True)
class Scalar:
    """A single value.

    Attributes:
        value: text, int, float, bool or None, as YAML 1.2 reads it.
        text: how it is written, without quotes.
    """

    value: Any
    text: str
    position: Position


@dataclass(frozen=True)
class Listing:
    """A list; `source` is its text in the file."""

    items: tuple[Node, ...]
    position: Position
    source: str = ""


@dataclass(frozen=True)
class Entry:
    """A key with its value; the position is the key's."""

    position: Position
    node: Node


@dataclass(frozen=True)
class Mapping:
    """Keys and values in the order of the file.

    Attributes:
        source: its text in the file.
        dropped: keys that were taken out because of a problem that is reported already.
    """

    entries: dict[str | int, Entry]
    position: Position
    source: str = ""
    dropped: frozenset[str | int] = field(default=frozenset())

    def get(self, key: str | int) -> Node | None:
        """The value of a key, or None."""
        entry = self.entries.get(key)
        return None if entry is None else entry.node

    def scalar(self, key: str) -> Any:
        """The plain value of a key, if it is a single one; else None."""
        node = self.get(key)
        return node.value if isinstance(node, Scalar) else None


Node = Scalar | Listing | Mapping


def plain(node: Node) -> Any:
    """The tree as dicts, lists and values, without positions."""
    if isinstance(node, Mapping):
        return {key: plain(entry.node) for key, entry in node.entries.items()}
    if isinstance(node, Listing):
        return [plain(item) for item in node.items]
    return node.value


def tree(value: Any) -> Node:
    """The tree of plain values, as if they stood at the begin of a file."""
    begin = Position(1, 1)
    if isinstance(value, dict):
        return Mapping({key: Entry(begin, tree(one)) for key, one in value.items()}, begin)
    if isinstance(value, list | tuple):
        return Listing(tuple(map(tree, value)), begin)
    return Scalar(value, str(value).lower() if isinstance(value, bool) else str(value), begin)


def count(node: Node) -> int:
    """How many keys and values a tree has."""
    if isinstance(node, Mapping):
        return 1 + sum(1 + count(entry.node) for entry in node.entries.values())
    return 1 + sum(map(count, node.items)) if isinstance(node, Listing) else 1


def child(node: Node, part: str | int) -> Node | None:
    """The value one step down, or None if there is none."""
    if isinstance(node, Mapping):
        return node.get(part)
    if isinstance(node, Listing) and isinstance(part, int) and 0 <= part < len(node.items):
        return node.items[part]
    return None


def items_of(node: Node, key: str) -> tuple[Node, ...]:
    """The items of the list behind a key; empty if there is no such list."""
    listing = child(node, key)
    return listing.items if isinstance(listing, Listing) else ()


def find(node: Node, location: Location) -> Node:
    """The value at a location, or the last one on the way that exists."""
    for part in location:
        below = child(node, part)
        if below is not None:
            node = below
    return node


def value_position(node: Node, location: Location) -> Position:
    """The position of the value at a location; if it is absent, of the nearest value around it."""
    return find(node, location).position


def key_position(node: Node, location: Location) -> Position:
    """The position of the key at a location; for an item of a list, of the item."""
    parent = find(node, location[:-1])
    if isinstance(parent, Mapping) and location and location[-1] in parent.entries:
        return parent.entries[location[-1]].position
    return value_position(node, location)


def put(node: Node, path: Sequence[str | int], value: Node, at: Position) -> Node:
    """A tree in which `value` stands at `path`; mappings on the way are made, keys not there yet get position `at`."""
    if not path:
        return value
    part, rest = path[0], path[1:]
    if isinstance(node, Listing) and isinstance(part, int):
        items = list(node.items)
        items[part] = put(items[part], rest, value, at)
        return replace(node, items=tuple(items))
    mapping = node if isinstance(node, Mapping) else Mapping({}, at)
    below = mapping.get(part)
    inner = put(below if below is not None else Mapping({}, at), rest, value, at)
    return replace(mapping, entries={**mapping.entries, part: Entry(at, inner)})


def lay_over(node: Node | None, over: Mapping) -> Mapping:
    """The mapping `node` with the keys of `over` in place of its own; anything else is replaced."""
    if not isinstance(node, Mapping):
        return over
    return replace(node, entries={**node.entries, **over.entries})


def describe(node: Node) -> str:
    """The value as an error message names it: `the number 5`, `the text 'x'`, `a list`."""
    if isinstance(node, Mapping):
        return "a mapping"
    if isinstance(node, Listing):
        return "a list"
    if node.value is None:
        return "nothing"
    if isinstance(node.value, bool):
        return f"the flag {node.text}"
    if isinstance(node.value, int | float):
        return f"the number {node.text}"
    return f"the text {shorten(node.text)!r}"


def shorten(text: str, limit: int = 60) -> str:
    """The text, cut to `limit` characters."""
    return text if len(text) <= limit else text[: limit - 3] + "..."


def scalars(node: Node) -> Iterator[Scalar]:
    """The node's own values: itself, or the single values of a list."""
    if isinstance(node, Scalar):
        yield node
    elif isinstance(node, Listing):
        yield from (item for item in node.items if isinstance(item, Scalar))
