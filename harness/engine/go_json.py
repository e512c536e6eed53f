"""JSON as Go's decoder reads it into a struct: keys in any case, integers only as integers, null as the default."""

from __future__ import annotations

import json
import math
import struct
from collections.abc import Mapping
from typing import Any, NoReturn

from harness.engine.errors import bad_body

_KINDS = ((str, "string"), (list, "array"), (dict, "object"))
_BLANKS = " \t\r\n"

LONGEST_TEXT = 1024
"""Characters of a name, an address or a pattern. Each is repeated in every event about it."""


def first_value(body: bytes) -> Any:
    """The first JSON value of a body; the rest is ignored. Raises ApiError."""
    try:
        text = body.decode("utf-8", errors="replace").lstrip(_BLANKS)
        if not text:
            raise bad_body("EOF")
        value, _ = _DECODER.raw_decode(text)
        # A half of a surrogate pair may be in any name, and could be in no answer. Go puts this sign in its place, too.
        return _with_whole_signs(value) if "\\ud" in text.lower() else value
    except (ValueError, RecursionError) as error:
        raise bad_body(f"invalid JSON: {str(error)[:200]}") from error


def _with_whole_signs(value: Any) -> Any:
    if isinstance(value, str):
        return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    if isinstance(value, list):
        return [_with_whole_signs(one) for one in value]
    if isinstance(value, dict):
        return {_with_whole_signs(key): _with_whole_signs(one) for key, one in value.items()}
    return value


def an_object(value: Any, what: str = "object") -> Mapping[str, Any]:
    """An object with its keys in lower case; null is an empty one."""
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise bad_body(f"json: cannot unmarshal {_kind(value)} into Go value of type {what}")
    return {str(key).lower(): one for key, one in value.items()}


def a_list(value: Any) -> list[Any] | None:
    """A list; null stays null."""
    if value is None or isinstance(value, list):
        return value
    raise bad_body(f"json: cannot unmarshal {_kind(value)} into Go value of type array")


def text(fields: Mapping[str, Any], key: str, default: str = "") -> str:
    """A string; absent or null is the default."""
    value = fields.get(key)
    if value is None:
        return default
    if not isinstance(value, str):
        _wrong(value, key, "string")
    if len(value) > LONGEST_TEXT:
        raise bad_body(f"{key} has {len(value)} characters, more than {LONGEST_TEXT}")
    return value


def flag(fields: Mapping[str, Any], key: str, default: bool) -> bool:
    """A boolean; absent or null is the default."""
    value = fields.get(key)
    if value is None:
        return default
    return value if isinstance(value, bool) else _wrong(value, key, "bool")


def whole(fields: Mapping[str, Any], key: str, default: int) -> int:
    """An integer of 64 bits, not written as 1.0 or 1e2; absent or null is the default."""
    value = fields.get(key)
    if value is None:
        return default
    if isinstance(value, bool) or not isinstance(value, int) or not -(1 << 63) <= value < 1 << 63:
        _wrong(value, key, "int64")
    return value


def single(fields: Mapping[str, Any], key: str, default: float) -> float:
    """A number that fits 32 bits; absent or null is the default."""
    value = fields.get(key)
    if value is None:
        return default
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        _wrong(value, key, "float32")
    try:
        fits = math.isfinite(struct.unpack("f", struct.pack("f", value))[0])
    except (OverflowError, struct.error):
        fits = False
    if not fits:
        _wrong(value, key, "float32")
    return value


def _wrong(value: Any, key: str, wanted: str) -> NoReturn:
    raise bad_body(f"json: cannot unmarshal {_kind(value)} into Go struct field {key} of type {wanted}")


def _kind(value: Any) -> str:
    if isinstance(value, bool):
        return "bool"
    if isinstance(value, (int, float)):
        return f"number {value!r}"[:60]
    return next((word for kind, word in _KINDS if isinstance(value, kind)), "null")


def _no_constant(word: str) -> NoReturn:
    raise ValueError(f"{word} is not JSON")


_DECODER = json.JSONDecoder(parse_constant=_no_constant)
