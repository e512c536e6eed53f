"""The kinds of attributes, in one table: what each is in YAML, in the code, in the schema and in words."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, PlainValidator, ValidationInfo, WithJsonSchema
from pydantic_core import PydanticCustomError

from harness.loader.keys.fields import (
    DURATION_SCHEMA,
    LARGEST_INT,
    Pairs,
    Texts,
    check_many,
    key,
    listed,
    read_duration,
    scope_in,
)
from harness.values.attribute import REQUIRED, Attribute
from harness.values.quantity import LONGEST_NS, MOST_BYTES, MOST_BYTES_PER_SECOND, parse_rate, parse_size

MOST_WEIGHT = 1_000_000
"""The largest weight: the sum of some is still a number."""

OUT_OF_BOUNDS = "out_of_bounds"
"""The type of the error that a quantity is too small or too large."""


@dataclass(frozen=True)
class Kind:
    """What an attribute of a kind is.

    Attributes:
        word: what may be written, in a word or two; empty if that is the attribute's choices.
        annotation: the pydantic type of an attribute: its form, its schema and its conversion.
        write: a converted value as it would be written in YAML.
        lowest, highest: the bounds where an attribute has no other; the format's page has them once.
    """

    word: str
    annotation: Callable[[Attribute], Any]
    write: Callable[[Any], str]
    lowest: int | None = None
    highest: int | None = None


def _as(annotation: Any) -> Callable[[Attribute], Any]:
    """The same type for every attribute of the kind."""
    return lambda _: annotation


# -- types -----------------------------------------------------------------------------------------------------


def _quantity(read: Callable[[Any, ValidationInfo], int], schema: Mapping[str, Any]) -> Callable[[Attribute], Any]:
    """The type of a number with a unit, within the attribute's bounds."""

    def annotation(attribute: Attribute) -> Any:
        low, high = bounds_of(attribute)

        def within_bounds(value: int, info: ValidationInfo) -> int:
            below = low is not None and value < low
            if (below or (high is not None and value > high)) and not scope_in(info).lenient:
                bound = f"at least {_write(attribute, low)}" if below else f"at most {_write(attribute, high)}"
                raise PydanticCustomError(OUT_OF_BOUNDS, "write {bound}", {"bound": bound})
            return value

        return Annotated[int, PlainValidator(read), AfterValidator(within_bounds), WithJsonSchema(dict(schema))]

    return annotation


def _int(attribute: Attribute) -> Any:
    low, high = bounds_of(attribute)
    return Annotated[int, Field(ge=low, le=high)]


def _float(attribute: Attribute) -> Any:
    low, high = bounds_of(attribute)
    return Annotated[float, Field(ge=low, le=high, allow_inf_nan=False)]


def _read_size(value: Any, _: ValidationInfo) -> int:
    return parse_size(value)


def _read_rate(value: Any, _: ValidationInfo) -> int:
    return parse_rate(value)


def _check_filled(value: dict[str, Any]) -> dict[str, Any]:
    if not value:
        raise ValueError("the mapping is empty; write at least one entry")
    return value


def _check_handler(name: str, info: ValidationInfo) -> str:
    return scope_in(info).handler(name)


_SIZE_SCHEMA = {
    "type": "string",
    "pattern": r"^ *[0-9.]+ *(B|KB|MB|KiB|MiB|GiB)$",
    "examples": ["5B", "100KB", "512MiB"],
}
_RATE_SCHEMA = {"type": "string", "pattern": r"^ *[0-9.]+ *(B|KB|MB)/s$", "examples": ["100KB/s"]}
_TEXTS_SCHEMA = {"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}, "minItems": 1}]}
_Keys = Annotated[Texts, AfterValidator(tuple)]
_Handlers = Annotated[
    list[Annotated[str, AfterValidator(_check_handler)]],
    BeforeValidator(listed),
    AfterValidator(check_many),
    AfterValidator(tuple),
    WithJsonSchema(_TEXTS_SCHEMA),
]
_Mapping = Annotated[dict[str, str], AfterValidator(_check_filled)]
_Weight = Annotated[float, Field(le=MOST_WEIGHT, allow_inf_nan=False)]
_Weights = Annotated[dict[str, _Weight], AfterValidator(_check_filled)]


# -- values as they are written --------------------------------------------------------------------------------


def _with_unit(*units: tuple[str, int]) -> Callable[[int], str]:
    """Writes an amount in the largest of these units that it is a whole number of."""

    def write(amount: int) -> str:
        unit, size = next((one for one in units if amount and amount % one[1] == 0), units[-1])
        return f"{amount // size}{unit}"

    return write


def _plain(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple | list):
        return f"[{', '.join(map(str, value))}]"
    return '""' if value == "" else str(value)


def _write_duration(amount_ns: int) -> str:
    return "0s" if amount_ns == 0 else _with_unit(("s", 10**9), ("ms", 10**6), ("us", 1000), ("ns", 1))(amount_ns)


_write_size = _with_unit(("GiB", 1 << 30), ("MiB", 1 << 20), ("MB", 10**6), ("KB", 1000), ("B", 1))
_write_rate = _with_unit(("MB/s", 10**6), ("KB/s", 1000), ("B/s", 1))


# -- the table -------------------------------------------------------------------------------------------------

KINDS: Mapping[str, Kind] = {
    "duration": Kind("duration", _quantity(read_duration, DURATION_SCHEMA), _write_duration, 0, LONGEST_NS),
    "size": Kind("size", _quantity(_read_size, _SIZE_SCHEMA), _write_size, 0, MOST_BYTES),
    "rate": Kind("rate", _quantity(_read_rate, _RATE_SCHEMA), _write_rate, 0, MOST_BYTES_PER_SECOND),
    "int": Kind("number", _int, _plain, -LARGEST_INT, LARGEST_INT),
    "number": Kind("number", _float, _plain, -LARGEST_INT, LARGEST_INT),
    "text": Kind("text", _as(str), _plain),
    "flag": Kind("flag", _as(bool), _plain),
    "value": Kind("text", _as(str), _plain),
    "key": Kind("text", _as(str), _plain),
    "keys": Kind("text, or several", _as(_Keys), _plain),
    "mapping": Kind("text: text", _as(_Mapping), _plain),
    "weights": Kind("verb: number", _as(_Weights), _plain),
    "choice": Kind("", lambda one: Literal[one.choices], _plain),
    "handlers": Kind("handler, or several", _as(_Handlers), _plain),
    "pairs": Kind("pairs of ranks", _as(Pairs), _plain),
}


def _write(attribute: Attribute, value: Any) -> str:
    return KINDS[attribute.kind].write(value)


def bounds_of(attribute: Attribute) -> tuple[Any, Any]:
    """The lowest and the highest value of an attribute; None where it has no bound."""
    kind = KINDS[attribute.kind]
    low = kind.lowest if attribute.minimum is None else attribute.minimum
    return low, kind.highest if attribute.maximum is None else attribute.maximum


def bounds_text(attribute: Attribute) -> str:
    """The bounds as a person reads them, without those of its kind; may be empty."""
    low, high = bounds_of(attribute)
    kind = KINDS[attribute.kind]
    parts = [f"at least {_write(attribute, low)}"] if low != kind.lowest else []
    parts += [f"at most {_write(attribute, high)}"] if high != kind.highest else []
    return ", ".join(parts)


def kind_word(attribute: Attribute) -> str:
    """What may be written, in a word or two."""
    return KINDS[attribute.kind].word or " | ".join(attribute.choices)


def written_default(attribute: Attribute) -> str:
    """The default as it is written in YAML; empty if there is none."""
    if attribute.default_text or attribute.default is REQUIRED or attribute.default is None:
        return attribute.default_text
    return _write(attribute, attribute.default)


def field_of(attribute: Attribute) -> tuple[Any, Any]:
    """Type and field of an attribute, as `create_model` takes them."""
    required = attribute.default is REQUIRED
    annotation = KINDS[attribute.kind].annotation(attribute)
    field = key(attribute.meaning, attribute.name, written_default(attribute), required=required)
    return (annotation if required else annotation | None, field)
