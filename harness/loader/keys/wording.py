"""What pydantic found, in the words of the format: where it stands, what is wrong, and what to write instead."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any, get_args, get_origin

from pydantic import BaseModel, ValidationError

from harness.loader.keys.fields import MOMENT_TAGS
from harness.loader.tree.nodes import Location, Mapping, Node, Scalar, describe, find, key_position, value_position
from harness.loader.tree.problems import Problems, suggestion
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


def told_problems(
    error: ValidationError, model: type[BaseModel], node: Node, what: str, problems: Problems, cell: str
) -> set[Location]:
    """ReportProblem every error of a model; returns the locations in the file that are wrong.

    Args:
        node: the part of the file that was validated.
        what: what it is, for messages: `the world`, `step 'get'`.
    """
    wrong = set()
    for one in error.errors(include_url=False):
        location = tuple(part for part in one["loc"] if not _is_tag(part))
        wrong.add(location)
        for position, message, hint in _words(one, model, node, location, what):
            problems.add(position, message, hint, cell)
    return wrong


def _is_tag(part: int | str) -> bool:
    return isinstance(part, str) and part.startswith("moment:")


def _words(
    one: Any, model: type[BaseModel], node: Node, location: Location, what: str
) -> Iterator[tuple[Any, str, str]]:
    kind = one["type"]
    if kind in ("extra_forbidden", "invalid_key"):
        yield _unknown_key(one, model, node, location, what)
    elif kind == "missing":
        parent = find(node, location[:-1])
        if isinstance(parent, Mapping) and location[-1] in parent.dropped:
            return
        field = _field(_model_at(model, one["loc"][:-1]), str(location[-1]))
        yield (
            value_position(node, location[:-1]),
            f"{_inside(location, what)} needs `{location[-1]}`",
            _addition(location, field),
        )
    else:
        yield _wrong_value(one, node, location)


def _unknown_key(one: Any, model: type[BaseModel], node: Node, location: Location, what: str) -> tuple[Any, str, str]:
    known = keys_of(_model_at(model, one["loc"][:-1]))
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


def _wrong_value(one: Any, node: Node, location: Location) -> tuple[Any, str, str]:
    kind, context = one["type"], one.get("ctx", {})
    value = find(node, location)
    position = value.position
    key = next((str(part) for part in reversed(location) if isinstance(part, str)), "")
    behind = f"`{key}`" if key else "this"
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
        return position, f"{behind} cannot be {getattr(value, 'text', '')}", f"write {word} {limit:g}"
    if kind in ("too_short", "string_too_short"):
        return position, f"{behind} is empty", "write at least one, or take the key out"
    return position, f"{behind}: {one['msg']}", ""


def _no_moment(value: Node) -> tuple[Any, str, str]:
    """A mapping that has none of the keys that say what kind of moment it is, or no mapping at all."""
    if isinstance(value, Mapping):
        for key, entry in value.entries.items():
            near = nearest(key, ("step", "fault", "wire"))
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


def keys_of(model: type[BaseModel]) -> list[str]:
    """The keys of a model as they are written."""
    return [field.alias or name for name, field in model.model_fields.items()]


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
    """The models in a type, outermost first; those of moments are told by their tags."""
    # On Python 3.10 `dict[str, int]` passes for a type.
    if get_origin(annotation) is None and isinstance(annotation, type) and issubclass(annotation, BaseModel):
        if annotation not in MOMENT_TAGS.values():
            yield annotation
        return
    for inner in get_args(annotation):
        yield from _models_in(inner)
