"""What may stand behind a key: quantities, names and ranks as pydantic types, each with its JSON Schema."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainValidator,
    StringConstraints,
    ValidationInfo,
    WithJsonSchema,
)

from harness.loader.keys.scope import DEFAULT_TIMEOUT_NS, SECOND_NS, Scope
from harness.scenario.scenario import EXIT
from harness.values.quantity import LONGEST_NS, is_duration, parse_duration

NEVER = "never"
RESERVED = (EXIT, NEVER)

LONGEST_NAME = 100
"""Characters of a name: names stand in tables, and in names of files."""
MOST_COUNTED = 1_000_000
"""The largest count of calls, of messages, of whatever else is counted: more never happens in a play."""
MOST_TIMES = 100_000
"""The most calls of a step by one rank."""
MOST_LIVES = 1000
"""The highest life of a rank: each one is a start of a process."""
LARGEST_INT = (1 << 31) - 1
"""Of whole numbers that have no other bound, and the lowest is -LARGEST_INT: torch takes ranks in 32 bits."""
MOST_PAIRS = 1000

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
    if len(text) > LONGEST_NAME:
        raise ValueError(f"{text[:60]!r}... has {len(text)} characters; write a name of at most {LONGEST_NAME}")
    return text


def _check_environment(value: dict[str, str]) -> dict[str, str]:
    """Environment variables that a process can be given."""
    for name in value:
        if not name or "=" in name:
            raise ValueError(f"{name[:60]!r} is not the name of a variable; write a name without `=`")
    return value


def _check_id(text: str) -> str:
    _check_name(text)
    if text in RESERVED:
        raise ValueError(f"the name {text!r} is taken by the harness; choose another")
    if is_duration(text):
        raise ValueError(f"the name {text!r} would be read as a duration; choose another")
    return text


_WORDS = {"type": "array", "items": {"type": "string"}, "minItems": 1}
_CODE = {"type": "integer", "minimum": 0, "maximum": 255}


def _check_words(words: list[str]) -> list[str]:
    """The words of a program, as a process can be given them."""
    if not words or not words[0]:
        raise ValueError("a program is missing; write it first: `[python, train.py]`")
    for word in words:
        if "\0" in word:
            raise ValueError(f"{word[:60]!r} has a zero byte; a process cannot be given it")
    return words


def listed(value: Any) -> Any:
    """A list as it is, anything else as a list of one."""
    return value if isinstance(value, list) else [value]


def check_many(value: list[Any]) -> list[Any]:
    """The list, refused if it is empty."""
    if not value:
        raise ValueError("the list is empty; name at least one, or take the key out")
    return value


def scope_in(info: ValidationInfo) -> Scope:
    """The scope that a value is read in."""
    return info.context if isinstance(info.context, Scope) else Scope(lenient=True)


def _check_choice(value: Any) -> int | str | list[int]:
    """A choice of ranks, its form checked."""
    form = "write 2, [0, 3], 1-6, workers or all"
    if type(value) is int and value >= 0:
        return value
    if isinstance(value, str) and (value in ("workers", "all") or re.fullmatch(r"\d{1,6} *- *\d{1,6}", value)):
        return value
    if isinstance(value, list) and value and all(type(rank) is int and rank >= 0 for rank in value):
        return value
    if value == []:
        raise ValueError(f"the list of ranks is empty; {form}")
    raise ValueError(f"{_short(value)} is not a choice of ranks; {form}")


def _read_ranks(value: Any, info: ValidationInfo) -> tuple[int, ...]:
    return scope_in(info).ranks(_check_choice(value))


_FORM_OF_PAIRS = "write a list of pairs, [[1, 0]], or of groups, [[[0, 1], [2, 3]]]"


def _check_pairs(value: Any) -> list[Any]:
    """Pairs, their form checked."""
    if not isinstance(value, list) or not value:
        raise ValueError(f"{_short(value)} is not a list of pairs; {_FORM_OF_PAIRS}")
    if len(value) > MOST_PAIRS:
        raise ValueError(f"{len(value)} pairs are too many; write at most {MOST_PAIRS}, or groups of ranks")
    for pair in value:
        if not isinstance(pair, list) or len(pair) != 2:
            raise ValueError(f"{_short(pair)} is not a pair; {_FORM_OF_PAIRS}")
        for side in pair:
            _check_choice(side)
    return value


def _check_sides(sides: list[tuple[int, ...]], info: ValidationInfo) -> tuple[tuple[int, ...], ...]:
    both = sorted({*sides[0]} & {*sides[1]})
    if both:
        return scope_in(info).refuse(
            f"rank {both[0]} stands on both sides of a pair", "name it on one side", tuple(sides)
        )
    return tuple(sides)


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


def read_duration(value: Any, info: ValidationInfo) -> int:
    """A duration of any sign, in nanoseconds, at most LONGEST_NS."""
    scope = scope_in(info)
    return _not_too_long(parse_duration(value).resolve(scope.timeout_ns), scope)


def _not_too_long(duration_ns: int, scope: Scope) -> int:
    if abs(duration_ns) > LONGEST_NS:
        message = f"{duration_ns // SECOND_NS} s is longer than a day"
        return scope.refuse(message, f"write at most {LONGEST_NS // SECOND_NS}s", SECOND_NS)
    return duration_ns


def read_length(value: Any, info: ValidationInfo) -> int:
    """A duration that is not negative, in nanoseconds."""
    length_ns = read_duration(value, info)
    if length_ns < 0:
        return scope_in(info).refuse("a duration cannot be negative here", "write a longer one", 0)
    return length_ns


def _read_timeout(value: Any, info: ValidationInfo) -> int:
    """A handler's timeout in nanoseconds: whole seconds."""
    return _whole_seconds(read_duration(value, info), scope_in(info))


def _read_world_timeout(value: Any, info: ValidationInfo) -> int:
    """The world's timeout in nanoseconds."""
    duration = parse_duration(value)
    if duration.timeouts:
        message = "the world's timeout cannot depend on itself"
        return scope_in(info).refuse(message, "write seconds: 5s", DEFAULT_TIMEOUT_NS)
    return _whole_seconds(duration.offset_ns, scope_in(info))


def _whole_seconds(timeout_ns: int, scope: Scope) -> int:
    if timeout_ns <= 0:
        hint = 'write 1s or more, or pass it raw: `config: {timeout: "0"}`'
        return scope.refuse("a timeout must be longer than 0s", hint, DEFAULT_TIMEOUT_NS)
    if timeout_ns % SECOND_NS:
        seconds = f"{timeout_ns / SECOND_NS:g}"
        hint = f'write whole seconds, or pass it raw: `config: {{timeout: "{seconds}"}}`'
        return scope.refuse(f"{seconds} s is not a whole number of seconds, and stock would cut it", hint, timeout_ns)
    return _not_too_long(timeout_ns, scope)


def _read_within(value: Any, info: ValidationInfo) -> tuple[int | None, int]:
    """`upper`, or `[lower, upper]`, in nanoseconds."""
    if not isinstance(value, list):
        return None, read_duration(value, info)
    if len(value) != 2:
        raise ValueError(
            "`within` has a lower and an upper bound; write `[timeout, timeout + 1s]`, or the upper one alone"
        )
    lower, upper = (read_duration(bound, info) for bound in value)
    if lower > upper:
        message = "the lower bound is above the upper one"
        return scope_in(info).refuse(message, "write [lower, upper]", (lower, upper))
    return lower, upper


def _check_count(value: Any) -> tuple[int, int]:
    """A number, or `[lowest, highest]`."""
    bounds = value if isinstance(value, list) else [value, value]
    if len(bounds) != 2 or not all(type(bound) is int and bound >= 0 for bound in bounds) or bounds[0] > bounds[1]:
        raise ValueError(f"{_short(value)} is not a count; write 1, or the lowest and the highest number: [1, 6]")
    if bounds[1] > MOST_COUNTED:
        raise ValueError(f"{_short(value)} is too large a count; write at most {MOST_COUNTED}")
    return bounds[0], bounds[1]


WRITTEN_DURATION = {
    "type": "string",
    "pattern": _DURATION_TEXT,
    "examples": ["250ms", "6s", "timeout + slack", "3 * timeout"],
}
DURATION_SCHEMA = {"x-ref": "Duration"}

# A guard stays a Duration, since its `timeout` differs from rank to rank; `Any`, since no model may be made of it.
GuardText = Annotated[Any, PlainValidator(parse_duration), WithJsonSchema(DURATION_SCHEMA)]
Length = Annotated[int, PlainValidator(read_length), WithJsonSchema(DURATION_SCHEMA)]
Timeout = Annotated[int, PlainValidator(_read_timeout), WithJsonSchema(DURATION_SCHEMA)]
WorldTimeout = Annotated[int, PlainValidator(_read_world_timeout), WithJsonSchema(DURATION_SCHEMA)]

_NAME_SCHEMA = {"type": "string", "pattern": "^[A-Za-z][A-Za-z0-9_-]*$", "maxLength": LONGEST_NAME}
Name = Annotated[str, AfterValidator(_check_name), WithJsonSchema(_NAME_SCHEMA)]
Id = Annotated[str, AfterValidator(_check_id), WithJsonSchema(_NAME_SCHEMA)]
Sentence = Annotated[str, StringConstraints(min_length=1, strip_whitespace=True)]
Texts = Annotated[
    list[str],
    BeforeValidator(listed),
    AfterValidator(check_many),
    WithJsonSchema({"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}, "minItems": 1}]}),
]
Tags = list[Name]
Words = Annotated[list[str], AfterValidator(_check_words), WithJsonSchema(_WORDS)]
ExitCodes = Annotated[
    list[Annotated[int, Field(ge=0, le=255)]],
    BeforeValidator(listed),
    AfterValidator(check_many),
    WithJsonSchema({"anyOf": [_CODE, {"type": "array", "items": _CODE, "minItems": 1}]}),
]
Environment = Annotated[dict[str, str], AfterValidator(_check_environment)]
Settings = dict[str, str]
WRITTEN_RANKS = {
    "anyOf": [
        {"type": "integer", "minimum": 0},
        {"type": "array", "items": {"type": "integer", "minimum": 0}, "minItems": 1},
        {"type": "string", "pattern": "^([0-9]+ *- *[0-9]+|workers|all)$"},
    ]
}
_ANY_RANKS = {"x-ref": "Ranks"}
Ranks = Annotated[tuple[int, ...], PlainValidator(_read_ranks), WithJsonSchema(_ANY_RANKS)]
Pair = Annotated[list[Ranks], AfterValidator(_check_sides)]
Pairs = Annotated[
    list[Pair],
    BeforeValidator(_check_pairs),
    AfterValidator(tuple),
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
    tuple[Any, int],
    PlainValidator(_read_within),
    WithJsonSchema(
        {"anyOf": [DURATION_SCHEMA, {"type": "array", "items": DURATION_SCHEMA, "minItems": 2, "maxItems": 2}]}
    ),
]
_WHOLE = {"type": "integer", "minimum": 0, "maximum": MOST_COUNTED}
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
    AfterValidator(check_many),
    WithJsonSchema({"anyOf": [_STATES, {"type": "array", "items": _STATES, "minItems": 1}]}),
]
Outcomes = Annotated[
    list[Outcome],
    BeforeValidator(listed),
    AfterValidator(check_many),
    WithJsonSchema({"anyOf": [_OUTCOMES, {"type": "array", "items": _OUTCOMES, "minItems": 1}]}),
]


def _read_step_name(name: str, info: ValidationInfo) -> str | None:
    """The unique name of a step."""
    if name == EXIT:
        return EXIT
    found = scope_in(info).find(name, "step")
    return None if found is None else found.name


def _read_fault_name(name: str, info: ValidationInfo) -> str | None:
    """The unique name of a fault."""
    found = scope_in(info).find(name, "fault")
    return None if found is None else found.name


StepName = Annotated[str, AfterValidator(_read_step_name)]
FaultName = Annotated[str, AfterValidator(_read_fault_name)]
StepNames = Annotated[
    list[StepName],
    BeforeValidator(listed),
    AfterValidator(check_many),
    WithJsonSchema({"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}, "minItems": 1}]}),
]
