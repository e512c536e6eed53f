"""A file's tree without the keys that begin with `x_` and those that have no value."""

from __future__ import annotations

from harness.loader.tree.nodes import Entry, Listing, Mapping, Node, Scalar
from harness.loader.tree.problems import Problems

FREE = ("env", "config", "values", "value", "one_of", "weights")
"""Keys below which everything belongs to the user."""


def tidied(tree: Mapping, problems: Problems) -> Mapping:
    """The tree without `x_` keys and without keys that have no value; the latter are problems."""
    ignored = {key for key in tree.entries if isinstance(key, str) and key.startswith("x_")}
    empty = {key for key, entry in tree.entries.items() if key not in (*ignored, *FREE) and _is_nothing(entry.node)}
    for key in empty:
        hint = f"write a value after `{key}:`, or take the key out"
        problems.add(tree.entries[key].position, f"the key {str(key)!r} has no value", hint)
    entries = {
        key: entry if key in FREE else Entry(entry.position, _tidied(entry.node, problems))
        for key, entry in tree.entries.items()
        if key not in ignored | empty
    }
    return Mapping(entries, tree.position, tree.source, frozenset(empty))


def _tidied(node: Node, problems: Problems) -> Node:
    if isinstance(node, Mapping):
        return tidied(node, problems)
    if not isinstance(node, Listing):
        return node
    for item in node.items:
        if _is_nothing(item):
            problems.add(item.position, "this `-` has no entry", "write an entry, or take it out")
    return Listing(tuple(_tidied(item, problems) for item in node.items), node.position, node.source)


def _is_nothing(node: Node) -> bool:
    return isinstance(node, Scalar) and node.value is None
