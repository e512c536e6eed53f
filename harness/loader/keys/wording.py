"""Pydantic's errors in the words of the format: the position, the problem, and what to write instead."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any, get_args, get_origin

from pydantic import BaseModel, ValidationError

from harness.checkers.base import standing_invariants
from harness.loader.keys.kinds import OUT_OF_BOUNDS
from harness.loader.keys.members import not_loaded
from harness.loader.keys.moments import MOMENT_KINDS, MOMENT_TAGS
from harness.loader.keys.scope import REFUSED
from harness.loader.keys.unions import EntryUnion
from harness.loader.tree.nodes import (
    Location,
    Mapping,
    Node,
    Position,
    Scalar,
    describe,
    find,
    key_position,
    value_position,
)
from harness.loader.tree.problems import Reporter, suggestion
from harness.values.suggest import nearest

MOMENT_HINT = (
    "write a duration (2s), the name of a step or a fault, {step: NAME, is: begun}, {fault: NAME, is: healed}, "
    "or a list of these"
)

_EXPECTED = {
    "string_type": "text",
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "bool_type": "true or false",
    "list_type": "a list",
    "dict_type": "a mapping",
    "model_type": "a mapping",
    "model_attributes_type": "a mapping",
}


Words = tuple[Position, str, str]
"""Where a problem is, what it is, and what to write instead."""


def report_keys(error: ValidationError, model: type[BaseModel], node: Node, what: str, report: Reporter) -> None:
    """Report every error of a model.

    Args:
        node: the part of the file that was validated.
        what: what it is, for messages: `a scenario`, `step 'get'`.
    """
    for one in error.errors(include_url=False):
        for words in _words(one, model, node, what, one["loc"]):
            report.at(*words)


def report_entry(error: ValidationError, union: EntryUnion, node: Mapping, name: str, report: Reporter) -> None:
    """Report every error of an entry of a list; `name` is its name in the file."""
    for one in error.errors(include_url=False):
        if one["type"].startswith("union_tag_"):
            found = _no_kind(union, node)
        else:
            tag, *below = one["loc"] if union.selectors else ("", *one["loc"])
            found = _words(one, union.models[str(tag)](), node, union.title(str(tag), name), tuple(below))
        for words in found:
            report.at(*words)


# -- entries of no kind ----------------------------------------------------------------------------------------


def _no_kind(union: EntryUnion, node: Mapping) -> Iterator[Words]:
    """Why it cannot be said of which kind an entry is."""
    present = [key for key in union.selectors if key in node.entries]
    if len(present) > 1:
        place = node.entries[present[1]].position
        yield place, f"a claim has either {' or '.join(present)}, not both", "make two claims of it"
    elif present:
        yield _unknown_kind(union, node, present[0])
    elif not node.dropped & {*union.selectors}:
        yield node.position, f"a {union.noun} needs {_one_of(union.selectors)}", f"write {_example(union)}"
        for key, entry in node.entries.items():
            if key not in union.keys and key not in union.attributes:
                yield entry.position, f"a {union.noun} has no key {str(key)!r}", suggestion(key, union.keys)


def _unknown_kind(union: EntryUnion, node: Mapping, selector: str) -> Words:
    noun = "check" if selector == "check" else union.noun
    value = find(node, (selector,))
    kind = value.value if isinstance(value, Scalar) else None
    if selector == "check" and kind in standing_invariants():
        hint = "remove the claim; `waive` is for a fault that makes it meaningless"
        return value.position, f"{kind!r} is judged in every run", hint
    if isinstance(kind, str):
        problem = next((one for one in not_loaded() if (one.family, one.kind) == (noun, kind)), None)
        if problem is not None:
            return value.position, problem.message, problem.advice
        return value.position, f"there is no {noun} {kind!r}", suggestion(kind, union.kinds, "there is")
    message = f"`{selector}` is the name of a {noun}, not {describe(value)}"
    return value.position, message, f"there is: {', '.join(union.kinds)}"


def _one_of(keys: Sequence[str]) -> str:
    *others, last = (f"`{key}`" for key in keys)
    return f"{', '.join(others)} or {last}" if others else last


def _example(union: EntryUnion) -> str:
    return union.example if len(union.selectors) == 1 else f"{union.example} or {{check: together}}"


# -- errors of a model -----------------------------------------------------------------------------------------


def _words(one: Any, model: type[BaseModel], node: Node, what: str, tagged: Location) -> Iterator[Words]:
    """The words of one error; `tagged` is its location with pydantic's tags in it."""
    kind = one["type"]
    location = tuple(part for part in tagged if not _is_tag(part))
    if kind in ("extra_forbidden", "invalid_key"):
        yield _unknown_key(_model_at(model, tagged[:-1]), node, location, what)
    elif kind == "missing":
        parent = find(node, location[:-1])
        if isinstance(parent, Mapping) and location[-1] in parent.dropped:
            return
        field = _field(_model_at(model, tagged[:-1]), str(location[-1]))
        yield (
            value_position(node, location[:-1]),
            f"{_inside(location, what)} needs `{location[-1]}`",
            _addition(location, field),
        )
    else:
        yield _wrong_value(one, node, location)


def _is_tag(part: int | str) -> bool:
    return isinstance(part, str) and part.startswith("moment:")


def _unknown_key(model: type[BaseModel], node: Node, location: Location, what: str) -> Words:
    known = [field.alias or name for name, field in model.model_fields.items()]
    parent = find(node, location[:-1])
    free = [key for key in known if not (isinstance(parent, Mapping) and key in parent.entries)]
    message = f"{_inside(location, what)} has no key {str(location[-1])!r}"
    near = nearest(location[-1], free)
    return key_position(node, location), message, suggestion(location[-1], free if near else known)


def _inside(location: Location, what: str) -> str:
    """What the key lies in: the thing itself, or a part of it."""
    if len(location) == 1:
        return what
    part = f"`{'.'.join(map(str, location[:-1]))}`"
    return part if what == "a scenario" else f"{part} of {what}"


def _addition(location: Location, field: Any) -> str:
    if field is None:
        return f"add `{location[-1]}`"
    example = (field.json_schema_extra or {}).get("x-example")
    shown = f"`{location[-1]}: {example}`" if example else f"`{location[-1]}`"
    return f"add {shown}: {field.description}"


def _wrong_value(one: Any, node: Node, location: Location) -> Words:
    kind, context = one["type"], one.get("ctx", {})
    value = find(node, location)
    position = value.position
    key = next((str(part) for part in reversed(location) if isinstance(part, str)), "")
    behind = f"`{key}`" if key else "this"
    if kind == REFUSED:
        return position, context["message"], context["hint"]
    if kind == OUT_OF_BOUNDS:
        return position, f"{behind} cannot be {getattr(value, 'text', '')}", f"write {context['bound']}"
    if kind == "value_error":
        message, _, hint = str(context["error"]).partition("; ")
        return position, message, hint
    if kind == "moment":
        return _no_moment(value)
    if kind == "literal_error":
        known = re.findall(r"'([^']*)'", context["expected"])
        return (
            position,
            f"{behind} cannot be {describe(value)}",
            suggestion(getattr(value, "text", ""), known, "write one of"),
        )
    if kind in _EXPECTED:
        return position, f"{behind} is {_EXPECTED[kind]}, not {describe(value)}", _instead(kind, value)
    if kind.startswith(("greater_than", "less_than")):
        word, limit = next((word, context[sign]) for sign, word in _BOUNDS.items() if sign in context)
        return position, f"{behind} cannot be {getattr(value, 'text', '')}", f"write {word} {_number(limit)}"
    if kind in ("too_short", "string_too_short"):
        return position, f"{behind} is empty", "write at least one, or take the key out"
    if kind == "string_too_long":
        return position, f"{behind} is too long", f"write at most {context['max_length']} characters"
    return position, f"{behind}: {one['msg']}", ""


def _number(limit: float) -> str:
    return str(int(limit)) if limit == int(limit) else f"{limit:g}"


def _no_moment(value: Node) -> Words:
    """A mapping that has none of the keys that say what kind of moment it is, or no mapping at all."""
    if isinstance(value, Mapping):
        for key, entry in value.entries.items():
            near = nearest(key, MOMENT_KINDS)
            if near:
                return entry.position, f"a moment has no key {str(key)!r}", f"did you mean {near!r}?"
    return value.position, f"{describe(value)} is not a moment", MOMENT_HINT


_BOUNDS = {"ge": "at least", "gt": "more than", "le": "at most", "lt": "less than"}


def _instead(kind: str, value: Node) -> str:
    if kind == "string_type" and isinstance(value, Scalar):
        return f'write "{value.text}" in quotes' if value.value is not None else 'write ""'
    if kind in ("int_type", "float_type") and isinstance(value, Scalar) and re.fullmatch(r"-?\d+", value.text):
        return f"write {value.text} without quotes"
    if kind in ("int_type", "float_type", "int_from_float"):
        return f"write {_EXPECTED[kind]}"
    if kind == "bool_type":
        return "write true or false, without quotes"
    if kind == "list_type":
        return "write [ ... ], or one entry per line with `- ` before it"
    if kind in ("dict_type", "model_type", "model_attributes_type"):
        return "write {KEY: VALUE}, or one `KEY: VALUE` per line below it"
    return ""


def _field(model: type[BaseModel], key: str) -> Any:
    return next((field for name, field in model.model_fields.items() if (field.alias or name) == key), None)


def _model_at(model: type[BaseModel], location: Sequence[int | str]) -> type[BaseModel]:
    """The model of the mapping at a location below `model`."""
    for part in location:
        if part in MOMENT_TAGS:
            model = MOMENT_TAGS[str(part)]
        elif isinstance(part, str) and (field := _field(model, part)) is not None:
            model = next(_models_in(field.annotation), model)
    return model


def _models_in(annotation: Any) -> Iterator[type[BaseModel]]:
    """The models in a type, outermost first; those of moments are known by their tags."""
    # On Python 3.10 `dict[str, int]` passes for a type.
    if get_origin(annotation) is None and isinstance(annotation, type) and issubclass(annotation, BaseModel):
        if annotation not in MOMENT_TAGS.values():
            yield annotation
        return
    for inner in get_args(annotation):
        yield from _models_in(inner)
