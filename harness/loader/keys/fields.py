"""What may stand behind a key: quantities, names, ranks, moments as pydantic types, each with its JSON Schema."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    PlainValidator,
    StringConstraints,
    Tag,
    WithJsonSchema,
)

from harness.values.attribute import REQUIRED, Attribute
from harness.values.quantity import Duration, parse_duration, parse_rate, parse_size

RESERVED = ("exit", "never")

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]*\Z")
_DURATION_TEXT = r"^[ 0-9.a-z*+-]*([0-9] *(us|ms|s|min)|timeout)[ 0-9.a-z*+-]*$"


class Keys(BaseModel):
    """A mapping whose keys are known."""

    model_config = ConfigDict(
        extra="forbid",
        strict=True,
        frozen=True,
        protected_namespaces=(),
        json_schema_extra={"patternProperties": {"^x_": {}}},
    )


def key(
    meaning: str, alias: str = "", default: str = "", example: Any = None, required: bool = False, **more: Any
) -> Any:
    """A key of a model.

    Args:
        meaning: one phrase, with the unit; `explain`, the schema and the reference print it.
        alias: how it is written, where Python cannot.
        default: what holds if it is absent, as it would be written.
        example: a value, as YAML text.
    """
    extra = {"x-default": default, "x-example": example}
    return Field(... if required else None, alias=alias or None, description=meaning, json_schema_extra=extra, **more)


def _check_name(text: str) -> str:
    if not _NAME.match(text):
        raise ValueError(f"{text[:60]!r} is not a name; write letters, digits, `-` and `_`, beginning with a letter")
    return text


def _check_id(text: str) -> str:
    _check_name(text)
    if text in RESERVED:
        raise ValueError(f"the name {text!r} is taken by the harness; choose another")
    if is_duration(text):
        raise ValueError(f"the name {text!r} would be read as a duration; choose another")
    return text


def is_duration(text: str) -> bool:
    """Whether a text reads as a duration, and so cannot be a name."""
    try:
        parse_duration(text)
    except ValueError:
        return False
    return True


def listed(value: Any) -> Any:
    """A list as it is, anything else as a list of one."""
    return value if isinstance(value, list) else [value]


def _check_many(value: list[Any]) -> list[Any]:
    if not value:
        raise ValueError("the list is empty; name at least one, or take the key out")
    return value


def _check_ranks(value: Any) -> Any:
    """Ranks as they are written, their form checked; which ones there are is known later."""
    form = "write 2, [0, 3], 1-6, workers or all"
    if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        return value
    if isinstance(value, str) and (value in ("workers", "all") or re.fullmatch(r"\d{1,6} *- *\d{1,6}", value)):
        return value
    if isinstance(value, list) and value and all(type(rank) is int and rank >= 0 for rank in value):
        return value
    if value == []:
        raise ValueError(f"the list of ranks is empty; {form}")
    raise ValueError(f"{_short(value)} is not a choice of ranks; {form}")


def _check_pairs(value: Any) -> Any:
    """Pairs as they are written, their form checked; which ranks there are is known later."""
    form = "write a list of pairs, [[1, 0]], or of groups, [[[0, 1], [2, 3]]]"
    if not isinstance(value, list) or not value:
        raise ValueError(f"{_short(value)} is not a list of pairs; {form}")
    for pair in value:
        if not isinstance(pair, list) or len(pair) != 2:
            raise ValueError(f"{_short(pair)} is not a pair; {form}")
        for side in pair:
            _check_ranks(side)
    return value


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


def _check_within(value: Any) -> list[Duration]:
    """`upper`, or `[lower, upper]`."""
    bounds = listed(value)
    if len(bounds) not in (1, 2) or (isinstance(value, list) and len(bounds) == 1):
        raise ValueError(
            "`within` has a lower and an upper bound; write `[timeout, timeout + 1s]`, or the upper one alone"
        )
    return [parse_duration(bound) for bound in bounds]


def _check_count(value: Any) -> tuple[int, int]:
    """A number, or `[lowest, highest]`."""
    bounds = value if isinstance(value, list) else [value, value]
    if len(bounds) != 2 or not all(type(bound) is int and bound >= 0 for bound in bounds) or bounds[0] > bounds[1]:
        raise ValueError(f"{_short(value)} is not a count; write 1, or the lowest and the highest number: [1, 6]")
    return bounds[0], bounds[1]


WRITTEN_DURATION = {
    "type": "string",
    "pattern": _DURATION_TEXT,
    "examples": ["250ms", "6s", "timeout + 1s", "3 * timeout"],
}
_ANY_DURATION = {"x-ref": "Duration"}
_WRITTEN_SIZE = {
    "type": "string",
    "pattern": r"^ *[0-9.]+ *(B|KB|MB|KiB|MiB|GiB)$",
    "examples": ["5B", "100KB", "512MiB"],
}
_WRITTEN_RATE = {"type": "string", "pattern": r"^ *[0-9.]+ *(B|KB|MB)/s$", "examples": ["100KB/s"]}

# `Any`, not Duration: no model may be made of what a validator returns.
DurationText = Annotated[Any, PlainValidator(parse_duration), WithJsonSchema(_ANY_DURATION)]
SizeText = Annotated[int, PlainValidator(parse_size), WithJsonSchema(_WRITTEN_SIZE)]
RateText = Annotated[int, PlainValidator(parse_rate), WithJsonSchema(_WRITTEN_RATE)]

Name = Annotated[
    str, AfterValidator(_check_name), WithJsonSchema({"type": "string", "pattern": "^[A-Za-z][A-Za-z0-9_-]*$"})
]
Id = Annotated[
    str, AfterValidator(_check_id), WithJsonSchema({"type": "string", "pattern": "^[A-Za-z][A-Za-z0-9_-]*$"})
]
Sentence = Annotated[str, StringConstraints(min_length=1, strip_whitespace=True)]
Texts = Annotated[
    list[str],
    BeforeValidator(listed),
    AfterValidator(_check_many),
    WithJsonSchema({"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}, "minItems": 1}]}),
]
Tags = list[Name]
Environment = dict[str, str]
WRITTEN_RANKS = {
    "anyOf": [
        {"type": "integer", "minimum": 0},
        {"type": "array", "items": {"type": "integer", "minimum": 0}, "minItems": 1},
        {"type": "string", "pattern": "^([0-9]+ *- *[0-9]+|workers|all)$"},
    ]
}
Ranks = Annotated[Any, PlainValidator(_check_ranks), WithJsonSchema({"x-ref": "Ranks"})]
_ANY_RANKS = {"x-ref": "Ranks"}
Pairs = Annotated[
    Any,
    PlainValidator(_check_pairs),
    WithJsonSchema(
        {
            "type": "array",
            "items": {"type": "array", "items": _ANY_RANKS, "minItems": 2, "maxItems": 2},
            "minItems": 1,
            "examples": [[[1, 0]], [[[0, 1], [2, 3]]]],
        }
    ),
]
Within = Annotated[
    Any,
    PlainValidator(_check_within),
    WithJsonSchema({"anyOf": [_ANY_DURATION, {"type": "array", "items": _ANY_DURATION, "minItems": 2, "maxItems": 2}]}),
]
_WHOLE = {"type": "integer", "minimum": 0}
Count = Annotated[
    tuple[int, int],
    PlainValidator(_check_count),
    WithJsonSchema({"anyOf": [_WHOLE, {"type": "array", "items": _WHOLE, "minItems": 2, "maxItems": 2}]}),
]
StepState = Literal["begun", "ended", "ok", "failed", "died", "skipped"]
Outcome = Literal["ok", "failed", "died", "skipped", "hung"]
_STATES = {"type": "string", "enum": ["begun", "ended", "ok", "failed", "died", "skipped"]}
_OUTCOMES = {"type": "string", "enum": ["ok", "failed", "died", "skipped", "hung"]}
StepStates = Annotated[
    list[StepState],
    BeforeValidator(listed),
    AfterValidator(_check_many),
    WithJsonSchema({"anyOf": [_STATES, {"type": "array", "items": _STATES, "minItems": 1}]}),
]
Outcomes = Annotated[
    list[Outcome],
    BeforeValidator(listed),
    AfterValidator(_check_many),
    WithJsonSchema({"anyOf": [_OUTCOMES, {"type": "array", "items": _OUTCOMES, "minItems": 1}]}),
]


# -- moments ---------------------------------------------------------------------------------------------------


class StepMomentKeys(Keys):
    """A moment of a step: a call of it that is so."""

    step: str = key("the name of a step", required=True, example="join")
    ranks: Ranks | None = key("whose calls", default="every rank that the step names", example="1")
    life: int | None = key("the rank's life, counted from 1", default="1", example="2", ge=1)
    is_: StepStates | None = key(
        "how the call is: `begun`, `ended` (in any way, skipped too), `ok`, `failed`, `died`, `skipped`; or several",
        "is", default="ended", example="begun",
    )  # fmt: skip
    count: int | None = key("the count-th such call", default="all", example="1", ge=1)
    plus: DurationText | None = key("a duration added to it", default="0s", example="200ms")


class FaultMomentKeys(Keys):
    """A moment of a fault: it is in place, or healed."""

    fault: str = key("the name of a fault", required=True, example="broken")
    is_: Literal["injected", "healed"] | None = key(
        "`injected` or `healed`", "is", default="injected", example="healed"
    )
    plus: DurationText | None = key("a duration added to it", default="0s", example="1s")


class WireKeys(Keys):
    """A message on the wire: one of `query` and `reply`."""

    query: str | None = key("the kind of message towards the master", example="wait")
    reply: str | None = key("the kind of message from the master", example="wait")
    ranks: Ranks | None = key("on whose links", default="every link", example="1")
    key_: str | None = key("the key it is about", "key", default="any", example="ready")


class WireMomentKeys(Keys):
    """A moment of the wire, seen by the embedded engine."""

    wire: WireKeys = key("the message", required=True)
    count: int | None = key("the count-th such message", default="1", example="2", ge=1)
    plus: DurationText | None = key("a duration added to it", default="0s", example="1ms")


MOMENT_TAGS: dict[str, type[Keys]] = {
    "moment:step": StepMomentKeys,
    "moment:fault": FaultMomentKeys,
    "moment:wire": WireMomentKeys,
}
"""By the tag that pydantic puts into a location; no key contains a colon."""


def _moment_tag(value: Any) -> str | None:
    if isinstance(value, str):
        return "moment:text"
    if isinstance(value, list):
        return "moment:list"
    if isinstance(value, dict):
        return next((f"moment:{kind}" for kind in ("step", "fault", "wire") if kind in value), None)
    return None


_UNLIKE = "is not a moment"
_Single = (
    Annotated[str, Tag("moment:text")]
    | Annotated[StepMomentKeys, Tag("moment:step")]
    | Annotated[FaultMomentKeys, Tag("moment:fault")]
    | Annotated[WireMomentKeys, Tag("moment:wire")]
)
_Several = list[
    Annotated[_Single, Discriminator(_moment_tag, custom_error_type="moment", custom_error_message=_UNLIKE)]
]
Moment = Annotated[
    Annotated[str, Tag("moment:text")]
    | Annotated[StepMomentKeys, Tag("moment:step")]
    | Annotated[FaultMomentKeys, Tag("moment:fault")]
    | Annotated[WireMomentKeys, Tag("moment:wire")]
    | Annotated[_Several, AfterValidator(_check_many), Tag("moment:list")],
    Discriminator(_moment_tag, custom_error_type="moment", custom_error_message=_UNLIKE),
    WithJsonSchema({"x-ref": "Moment"}),
]
RawMoment = str | StepMomentKeys | FaultMomentKeys | WireMomentKeys | list[Any]


# -- the attributes of a member --------------------------------------------------------------------------------


def attribute_type(attribute: Attribute) -> Any:
    """The pydantic type of an attribute of a step, a fault or a check."""
    bounds: dict[str, Any] = {}
    if attribute.kind in ("int", "number"):
        bounds = {"ge": attribute.minimum, "le": attribute.maximum}
    kinds: dict[str, Any] = {
        "duration": DurationText,
        "size": SizeText,
        "rate": RateText,
        "int": Annotated[int, Field(**bounds)],
        "number": Annotated[float, Field(allow_inf_nan=False, **bounds)],
        "text": str,
        "flag": bool,
        "value": str,
        "key": str,
        "keys": Texts,
        "mapping": Annotated[dict[str, str], AfterValidator(_check_filled)],
        "weights": Annotated[dict[str, Annotated[float, Field(allow_inf_nan=False)]], AfterValidator(_check_filled)],
        "handlers": Texts,
        "pairs": Pairs,
    }
    if attribute.kind == "choice":
        return Literal[attribute.choices]
    return kinds[attribute.kind]


def _check_filled(value: dict[str, Any]) -> dict[str, Any]:
    if not value:
        raise ValueError("the mapping is empty; write at least one entry")
    return value


def attribute_field(attribute: Attribute) -> tuple[Any, Any]:
    """Type and field of an attribute, as `create_model` takes them."""
    required = attribute.default is REQUIRED
    kind = attribute_type(attribute)
    field = key(
        attribute.meaning,
        attribute.name,
        "" if required else written_default(attribute),
        required=required,
    )
    return (kind if required else kind | None, field)


def written_default(attribute: Attribute) -> str:
    """The default as it is written in YAML; empty if there is none."""
    if attribute.default_text or attribute.default is REQUIRED or attribute.default is None:
        return attribute.default_text
    if attribute.kind == "duration":
        return _written(attribute.default, (("s", 10**9), ("ms", 10**6), ("us", 1000)))
    if attribute.kind in ("size", "rate"):
        per = "/s" if attribute.kind == "rate" else ""
        return _written(attribute.default, ((f"MB{per}", 10**6), (f"KB{per}", 1000), (f"B{per}", 1)))
    if isinstance(attribute.default, bool):
        return str(attribute.default).lower()
    if isinstance(attribute.default, tuple | list):
        return f"[{', '.join(map(str, attribute.default))}]"
    return '""' if attribute.default == "" else str(attribute.default)


def _written(amount: int, units: tuple[tuple[str, int], ...]) -> str:
    if amount == 0:
        return f"0{units[0][0] if units[0][0] == 's' else units[-1][0]}"
    unit, size = next((unit for unit in units if amount % unit[1] == 0), units[-1])
    return f"{amount // size}{unit}"
