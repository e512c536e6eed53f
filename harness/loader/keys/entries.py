"""The entries of a file's lists, each checked by the model of its kind, so that one wrong entry hides no other."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from collections.abc import Mapping as AnyMapping
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from harness.checkers.base import standing_invariants
from harness.loader.keys import members
from harness.loader.keys.fields import Keys
from harness.loader.keys.models import (
    AnyClaimKeys,
    Document,
    FaultKeys,
    KnownKeys,
    StepClaimKeys,
    StepKeys,
    Waiver,
    World,
)
from harness.loader.keys.names import Entry
from harness.loader.keys.wording import keys_of, told_problems
from harness.loader.tree.matrix import raw_name
from harness.loader.tree.nodes import (
    Listing,
    Location,
    Mapping,
    Node,
    Position,
    Scalar,
    describe,
    find,
    key_position,
    plain,
    value_position,
    without,
)
from harness.loader.tree.problems import Problems, suggestion


@dataclass(frozen=True)
class Section:
    """A list of entries: where it stands, and the key that says of which kind an entry is."""

    key: str
    family: str
    selector: str


WORKLOAD = Section("workload", "step", "do")
FAULTS = Section("faults", "fault", "inject")


class Entries:
    """Reads one cell's tree, and tells what is wrong with its keys."""

    def __init__(self, tree: Mapping, problems: Problems, cell: str) -> None:
        self.tree = tree
        self._problems = problems
        self._cell = cell

    def report(self, location: Location, message: str, hint: str = "", key: bool = False) -> None:
        """ReportProblem a problem at a location of the tree; see `names.ReportProblem`."""
        place = key_position if key else value_position
        self.tell_at(place(self.tree, location), message, hint)

    def tell_at(self, position: Position, message: str, hint: str = "") -> None:
        """ReportProblem a problem at a place in the text."""
        self._problems.add(position, message, hint, self._cell)

    def document(self) -> Document | None:
        """The top of the file; None if something in it is wrong."""
        document, _ = self._validate(Document, self.tree, (), "a scenario")
        return document if isinstance(document, Document) else None

    def world(self) -> World | None:
        """The world, where the top of the file is wrong elsewhere."""
        node = self.tree.get("world")
        if node is None:
            return None
        try:
            return World.model_validate(plain(node))
        except ValidationError as error:
            return _without_unknown_keys(node, error)

    def steps(self) -> list[Entry]:
        """The workload."""
        return [self._member(node, location, WORKLOAD) for node, location in self._items("workload")]

    def faults(self) -> list[Entry]:
        """The faults."""
        return [self._member(node, location, FAULTS) for node, location in self._items("faults")]

    def claims(self) -> list[Entry]:
        """The claims of `expect`."""
        return [self.claim(node, location) for node, location in self._items("expect")]

    def known(self) -> list[Entry]:
        """The known failures."""
        return [self._simple(node, at, KnownKeys, "known", "a known failure") for node, at in self._items("known")]

    def waivers(self) -> list[Entry]:
        """The waived invariants."""
        return [self._simple(node, at, Waiver, "waiver", "a waiver") for node, at in self._items("waive")]

    def inner(self, entry: Entry, key: str) -> list[Entry]:
        """The claims below a key of an entry."""
        listing = entry.node.get(key) if isinstance(entry.node, Mapping) else None
        items = listing.items if isinstance(listing, Listing) else ()
        return [self.claim(item, (*entry.location, key, index)) for index, item in enumerate(items)]

    # -- one entry ---------------------------------------------------------------------------------------------

    def claim(self, node: Node, location: Location) -> Entry:
        """One claim: about steps, of a checker, or one of several."""
        name = raw_name(node, "expect")
        if not isinstance(node, Mapping):
            self._not_a_mapping(node, "a claim", "{step: join, is: ok}")
            return Entry("claim", "", None, node, location)
        subjects = [key for key in ("step", "check", "any") if key in node.entries]
        if len(subjects) != 1:
            self._no_one_subject(node, subjects)
            return Entry("claim", "", None, node, location, name)
        if subjects == ["check"]:
            return self._check(node, location, name)
        model: type[Keys] = StepClaimKeys if subjects == ["step"] else AnyClaimKeys
        validated, _ = self._validate(model, node, location, f"claim {name!r}" if name else "a claim")
        return Entry("claim", "", validated, node, location, name)

    def _no_one_subject(self, node: Mapping, subjects: Sequence[str]) -> None:
        if subjects:
            place = node.entries[subjects[1]].position
            self.tell_at(place, f"a claim has either {' or '.join(subjects)}, not both", "make two claims of it")
            return
        if node.dropped & {"step", "check", "any"}:
            return
        hint = "write {step: join, is: ok} or {check: together}"
        self.tell_at(node.position, "a claim needs `step`, `check` or `any`", hint)
        known = keys_of(StepClaimKeys)
        for key, entry in node.entries.items():
            if key not in known:
                near = suggestion(key, ["check", "any", *known])
                self.tell_at(entry.position, f"a claim has no key {str(key)!r}", near)

    def _check(self, node: Mapping, location: Location, name: str) -> Entry:
        kind, known = node.scalar("check"), members.check_declarations()
        if kind in standing_invariants():
            hint = "take the claim out; `waive` is for a fault that makes it meaningless"
            self.tell_at(value_position(node, ("check",)), f"{kind!r} is judged in every run", hint)
            return Entry("claim", "", None, node, location, name)
        if not isinstance(kind, str) or kind not in known:
            self._unknown_kind(node, "check", "check", known)
            return Entry("claim", "", None, node, location, name)
        validated, _ = self._validate(members.check_model(kind), node, location, f"check {kind!r}")
        return Entry("claim", kind, validated, node, location, name)

    def _member(self, node: Node, location: Location, section: Section) -> Entry:
        """A step or a fault."""
        name = raw_name(node, section.key)
        example = "{do: rendezvous}" if section is WORKLOAD else "{inject: latency, stream: upstream, latency: 100ms}"
        if not isinstance(node, Mapping):
            self._not_a_mapping(node, f"a {section.family}", example)
            return Entry(section.family, "", None, node, location)
        known: AnyMapping[str, Any] = members.step_members() if section is WORKLOAD else members.fault_members()
        kind = node.scalar(section.selector)
        if not isinstance(kind, str) or kind not in known:
            self._no_kind(node, section, example, known)
            return Entry(section.family, "", None, node, location, name)
        model = members.step_model(kind) if section is WORKLOAD else members.fault_model(kind)
        validated, _ = self._validate(model, node, location, f"{section.family} {kind!r}")
        return Entry(section.family, kind, validated, node, location, name)

    def _no_kind(self, node: Mapping, section: Section, example: str, known: AnyMapping[str, Any]) -> None:
        if section.selector in node.entries:
            self._unknown_kind(node, section.selector, section.family, known)
            return
        if section.selector in node.dropped:
            return
        self.tell_at(node.position, f"a {section.family} needs `{section.selector}`", f"write {example}")
        keys = keys_of(StepKeys if section is WORKLOAD else FaultKeys)
        attributes = {one.name for member in known.values() for one in member.declaration.attributes}
        for key, entry in node.entries.items():
            if key not in keys and key not in attributes:
                self.tell_at(entry.position, f"a {section.family} has no key {str(key)!r}", suggestion(key, keys))

    def _unknown_kind(self, node: Mapping, selector: str, family: str, known: Iterable[str]) -> None:
        value = find(node, (selector,))
        if isinstance(value, Scalar) and isinstance(value.value, str):
            problem = next(
                (one for one in members.not_loaded() if (one.family, one.kind) == (family, value.value)), None
            )
            if problem is not None:
                self.tell_at(value.position, problem.message, problem.advice)
                return
            hint = suggestion(value.value, sorted(known), "there is")
            self.tell_at(value.position, f"there is no {family} {value.value!r}", hint)
        else:
            message = f"`{selector}` is the name of a {family}, not {describe(value)}"
            self.tell_at(value.position, message, f"there is: {', '.join(sorted(known))}")

    def _simple(self, node: Node, location: Location, model: type[Keys], family: str, what: str) -> Entry:
        if not isinstance(node, Mapping):
            self._not_a_mapping(node, what, f"{{{', '.join(f'{key}: ...' for key in keys_of(model)[:2])}}}")
            return Entry(family, "", None, node, location)
        validated, _ = self._validate(model, node, location, what)
        return Entry(family, "", validated, node, location)

    def _not_a_mapping(self, node: Node, what: str, example: str) -> None:
        self.tell_at(node.position, f"{what} is a mapping, not {describe(node)}", f"write {example}")

    def _items(self, key: str) -> list[tuple[Node, Location]]:
        listing = self.tree.get(key)
        return (
            [(item, (key, index)) for index, item in enumerate(listing.items)] if isinstance(listing, Listing) else []
        )

    def _validate(self, model: type[Keys], node: Node, location: Location, what: str) -> tuple[Keys | None, bool]:
        """The model, or None; what is wrong is told."""
        try:
            validated = model.model_validate(plain(node))
        except ValidationError as error:
            told_problems(error, model, node, what, self._problems, self._cell)
            return None, False
        return (None, False) if isinstance(node, Mapping) and node.dropped else (validated, True)


def _without_unknown_keys(node: Node, error: ValidationError) -> World | None:
    """The world, if unknown keys are all that is wrong with it."""
    keys = plain(node)
    for one in error.errors(include_url=False):
        if one["type"] != "extra_forbidden" or any(isinstance(part, str) and ":" in part for part in one["loc"]):
            return None
        parent = keys
        for part in one["loc"][:-1]:
            parent = parent[part]
        parent.pop(one["loc"][-1], None)
    return World.model_validate(keys)


FREE = ("env", "config", "values", "value", "one_of", "weights")
"""Keys below which everything belongs to the user."""


def tidied(node: Node, problems: Problems) -> Node:
    """The tree without `x_` keys and without keys that have nothing behind them, which are told."""
    if isinstance(node, Listing):
        items = [tidied(item, problems) for item in node.items]
        for item in node.items:
            if isinstance(item, Scalar) and item.value is None:
                problems.add(item.position, "nothing stands behind this `-`", "write an entry, or take it out")
        return Listing(tuple(items), node.position, node.source)
    if not isinstance(node, Mapping):
        return node
    ignored = frozenset(key for key in node.entries if isinstance(key, str) and key.startswith("x_"))
    empty = frozenset(
        key
        for key, entry in node.entries.items()
        if key not in (*ignored, *FREE) and isinstance(entry.node, Scalar) and entry.node.value is None
    )
    for key in empty:
        hint = f"write a value behind `{key}:`, or take the key out"
        problems.add(node.entries[key].position, f"nothing stands behind {str(key)!r}", hint)
    kept = without(node, ignored | empty)
    entries = {
        key: entry if key in FREE else type(entry)(entry.position, tidied(entry.node, problems))
        for key, entry in kept.entries.items()
    }
    return Mapping(entries, node.position, node.source, frozenset(empty))
