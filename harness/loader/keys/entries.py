"""The keys of one cell, checked: each part of the file by itself, so that one wrong entry hides no other."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

from pydantic import ValidationError

from harness.loader.keys import unions
from harness.loader.keys.models import Document, World
from harness.loader.keys.scope import MAIN, Scope, scope_of
from harness.loader.keys.unions import EntryUnion
from harness.loader.keys.wording import report_entry, report_keys
from harness.loader.tree.matrix import raw_name
from harness.loader.tree.nodes import Location, Mapping, Node, describe, items_of, plain
from harness.loader.tree.problems import Reporter
from harness.rank.steps import STEPS


@dataclass(frozen=True)
class Entry:
    """One entry of a list in the file.

    Attributes:
        keys: its model; None if it is wrong, which is reported.
        kind: the verb, the kind of fault or the check; empty for others.
        raw_name: its name in the file.
    """

    keys: Any
    kind: str
    node: Node
    location: Location
    raw_name: str = ""

    @property
    def line(self) -> int:
        return self.node.position.line


@dataclass(frozen=True)
class CellKeys:
    """What the keys of a cell say.

    Attributes:
        document: the top of the file; None if it is wrong.
        world: None if it is wrong.
        steps, faults: those that are sound.
        claims, known, waivers: all of them, the wrong ones too.
        scope: what the values were read with.
        whole: whether `document`, and every step and fault, is sound. If not, what looks wrong may be a consequence.
    """

    document: Document | None
    world: World | None
    steps: tuple[Entry, ...]
    faults: tuple[Entry, ...]
    claims: tuple[Entry, ...]
    known: tuple[Entry, ...]
    waivers: tuple[Entry, ...]
    scope: Scope
    whole: bool


def read_keys(tree: Mapping, report: Reporter) -> CellKeys:
    """The keys of a cell's tree; every problem is reported."""
    scope = scope_of(tree)
    document = _document(tree, scope, report)
    steps = read_entries(unions.steps(), tree, ("workload",), scope, report)
    faults = read_entries(unions.faults(), tree, ("faults",), scope, report)
    whole = document is not None and all(entry.keys is not None for entry in (*steps, *faults))
    scope = replace(scope, handlers=_built(steps) if whole else None)
    return CellKeys(
        document=document,
        world=_world(tree, scope) if document is None else document.world,
        steps=tuple(sound(steps)),
        faults=tuple(sound(faults)),
        claims=read_entries(unions.claims(), tree, ("expect",), scope, report),
        known=read_entries(unions.known_failures(), tree, ("known",), scope, report),
        waivers=read_entries(unions.waivers(), tree, ("waive",), scope, report),
        scope=scope,
        whole=whole,
    )


def sound(entries: Iterable[Entry]) -> list[Entry]:
    """The entries that are not wrong."""
    return [entry for entry in entries if entry.keys is not None]


def _built(steps: Iterable[Entry]) -> tuple[str, ...]:
    """The names of the handlers that steps build."""
    return tuple(sorted({step.keys.handler or MAIN for step in steps if STEPS[step.kind].configures_handler}))


def read_entries(
    union: EntryUnion, node: Node, location: Location, scope: Scope, report: Reporter
) -> tuple[Entry, ...]:
    """The entries of the list behind the last key of a location; `node` is the mapping that has the key."""
    section, key = str(location[0]), str(location[-1])
    naming = section if section in ("workload", "faults") else "expect"
    return tuple(
        _read_entry(union, item, (*location, index), raw_name(item, naming), scope, report)
        for index, item in enumerate(items_of(node, key))
    )


def _read_entry(union: EntryUnion, node: Node, location: Location, name: str, scope: Scope, report: Reporter) -> Entry:
    wrong = Entry(None, "", node, location, name)
    if not isinstance(node, Mapping):
        message = f"a {union.noun} is a mapping, not {describe(node)}"
        report.at(node.position, message, f"write {union.example}")
        return wrong
    value = plain(node)
    try:
        keys = union.adapter.validate_python(value, context=scope)
    except ValidationError as error:
        report_entry(error, union, node, name, report)
        keys = _leniently(union, value, scope)
    if keys is None or node.dropped:
        return wrong
    selector = union.selectors[0] if len(union.selectors) == 1 else "check"
    return Entry(keys, str(node.scalar(selector) or ""), node, location, name)


def _leniently(union: EntryUnion, value: Any, scope: Scope) -> Any:
    """An entry that is wrong only in what it refers to, so that more can be said about it; else None."""
    try:
        return union.adapter.validate_python(value, context=replace(scope, lenient=True))
    except ValidationError:
        return None


def _document(tree: Mapping, scope: Scope, report: Reporter) -> Document | None:
    value = plain(tree)
    try:
        document = Document.model_validate(value, context=scope)
    except ValidationError as error:
        report_keys(error, Document, tree, "a scenario", report)
        try:
            document = Document.model_validate(value, context=replace(scope, lenient=True))
        except ValidationError:
            return None
    return None if tree.dropped else document


def _world(tree: Mapping, scope: Scope) -> World | None:
    """The world, where another part of the top of the file is wrong, or the world has unknown keys."""
    node, scope = tree.get("world"), replace(scope, lenient=True)
    if node is None:
        return None
    keys = plain(node)
    try:
        return World.model_validate(keys, context=scope)
    except ValidationError as error:
        for one in error.errors(include_url=False):
            if one["type"] != "extra_forbidden" or any(isinstance(part, str) and ":" in part for part in one["loc"]):
                return None
            parent = keys
            for part in one["loc"][:-1]:
                parent = parent[part]
            parent.pop(one["loc"][-1], None)
    return World.model_validate(keys, context=scope)
