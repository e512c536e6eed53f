"""The JSON Schema of scenario files, generated from the models: what an editor checks and completes with."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from harness.loader.keys import members
from harness.loader.keys.fields import WRITTEN_DURATION, WRITTEN_RANKS
from harness.loader.keys.models import AnyClaimKeys, Document, KnownKeys, RankKeys, StepClaimKeys, Waiver
from harness.loader.keys.moments import MOMENT_TAGS
from harness.reference.addresses import SCHEMA

COMMITTED = Path(__file__).parent / "rdzv-scenario.schema.json"
"""The copy that ships with the package, for editors; `python -m harness.reference.json_schema` writes it."""
PUBLISHED = Path(__file__).parents[2] / "docs" / "schema" / SCHEMA.rpartition("/")[2]
"""The copy in the docs of a checkout, under the version that is released next; those of earlier releases stay."""

TITLE = "rdzv-harness scenario, v1"
_SELECTORS = ("do", "inject", "check", "step", "any", "fault", "wire", "subject", "because", "breaks")


def schema(only_ours: bool = False) -> dict[str, Any]:
    """The schema as JSON values (draft 2020-12); `only_ours` leaves members of other packages out."""

    def kinds(family: str, known: Iterable[str]) -> list[str]:
        return [kind for kind in sorted(known) if not only_ours or members.is_ours(family, kind)]

    steps = {kind: members.step_model(kind) for kind in kinds("step", members.step_members())}
    faults = {kind: members.fault_model(kind) for kind in kinds("fault", members.fault_members())}
    checks = {kind: members.check_model(kind) for kind in kinds("check", members.check_declarations())}
    fixed: list[type[BaseModel]] = [Document, RankKeys, KnownKeys, Waiver, StepClaimKeys, AnyClaimKeys]
    fixed.extend(MOMENT_TAGS.values())
    models = [*fixed, *steps.values(), *faults.values(), *checks.values()]
    references, generated = models_json_schema([(model, "validation") for model in models], by_alias=True)
    named = {model: references[model, "validation"] for model in models}
    definitions = {
        **generated["$defs"],
        "Step": _by_kind("do", {kind: named[model] for kind, model in steps.items()}),
        "Fault": _by_kind("inject", {kind: named[model] for kind, model in faults.items()}),
        "Check": _by_kind("check", {kind: named[model] for kind, model in checks.items()}),
        "Claim": _claim(named[StepClaimKeys], named[AnyClaimKeys]),
        "Known": named[KnownKeys],
        "Moment": _moment([named[model] for model in MOMENT_TAGS.values()]),
        "Ranks": WRITTEN_RANKS,
        "Duration": WRITTEN_DURATION,
        "WorldKind": {"enum": kinds("world", members.world_declarations())},
    }
    top = definitions.pop("Document")
    whole = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": SCHEMA,
        "title": TITLE,
        **top,
        "$defs": {name: _lenient(definition) for name, definition in sorted(definitions.items())},
    }
    return _used(_cleaned(whole))


def written() -> str:
    """The schema as the text of its file, the same on every machine."""
    return json.dumps(schema(only_ours=True), indent=1, ensure_ascii=False) + "\n"


def _lenient(definition: dict[str, Any]) -> dict[str, Any]:
    """Without the required keys, since a matrix may bring them in; only those that say the kind of an entry stay."""
    required = [key for key in definition.get("required", ()) if key in _SELECTORS]
    return {**{key: value for key, value in definition.items() if key != "required"}, "required": required}


def _by_kind(selector: str, kinds: Mapping[str, Any]) -> dict[str, Any]:
    """A mapping whose other keys depend on one: written with if and then, so that an editor can name the wrong key."""
    return {
        "type": "object",
        "required": [selector],
        "properties": {selector: {"enum": list(kinds)}},
        "allOf": [
            {"if": {"properties": {selector: {"const": kind}}, "required": [selector]}, "then": reference}
            for kind, reference in kinds.items()
        ],
    }


def _claim(step: Any, several: Any) -> dict[str, Any]:
    kinds = {"step": step, "check": {"$ref": "#/$defs/Check"}, "any": several}
    return {
        "type": "object",
        "oneOf": [{"required": [key]} for key in kinds],
        "allOf": [{"if": {"required": [key]}, "then": reference} for key, reference in kinds.items()],
    }


def _moment(mappings: list[Any]) -> dict[str, Any]:
    simple = {"anyOf": [{"type": "string"}, *mappings]}
    return {"anyOf": [*simple["anyOf"], {"type": "array", "items": simple, "minItems": 1}]}


def _cleaned(node: Any, names: bool = False) -> Any:
    """Without what has no meaning (generated titles, null as a default or a choice); defaults as they are written.

    Args:
        names: the keys of this mapping are names from the format, not words of JSON Schema.
    """
    if isinstance(node, list):
        return [_cleaned(one) for one in node]
    if not isinstance(node, dict):
        return node
    if names:
        return {key: _cleaned(value) for key, value in node.items()}
    kept = {key: value for key, value in node.items() if not _says_nothing(key, value)}
    if len(kept.get("allOf", ())) == 1:
        kept = {**{key: value for key, value in kept.items() if key != "allOf"}, **kept["allOf"][0]}
    if "const" in kept:  # some versions of pydantic say the same three times
        kept = {key: value for key, value in kept.items() if key not in ("enum", "type")}
    choices = [one for one in kept.get("anyOf", ()) if one != {"type": "null"}]
    if "anyOf" in kept and len(choices) == 1:
        kept = {**{key: value for key, value in kept.items() if key != "anyOf"}, **choices[0]}
    elif choices:
        kept["anyOf"] = choices
    if "x-ref" in kept:  # pydantic follows a reference of its own before it is ours
        kept["$ref"] = f"#/$defs/{kept.pop('x-ref')}"
    default, example = kept.pop("x-default", ""), kept.pop("x-example", None)
    if default and "description" in kept:
        kept["description"] = f"{kept['description']} (default: {default})"
    if example and "examples" not in kept:
        kept["examples"] = [_example(example)]
    return {key: _cleaned(value, key in ("properties", "patternProperties", "$defs")) for key, value in kept.items()}


def _says_nothing(key: str, value: Any) -> bool:
    if key == "title":
        return bool(value != TITLE)
    return value == [] or (key == "default" and value is None)


def _example(text: str) -> Any:
    """An example as the value that its YAML stands for."""
    from ruamel.yaml import YAML

    return json.loads(json.dumps(YAML(typ="safe", pure=True).load(text)))  # keys of JSON are text


def _used(whole: dict[str, Any]) -> dict[str, Any]:
    """The schema without definitions that nothing refers to."""
    text = json.dumps(whole)
    used = {part.split('"')[0] for part in text.split("#/$defs/")[1:]}
    kept = {name: definition for name, definition in whole["$defs"].items() if name in used}
    return {**whole, "$defs": kept}


if __name__ == "__main__":
    COMMITTED.write_text(written(), encoding="utf-8")
    PUBLISHED.write_text(written(), encoding="utf-8")
