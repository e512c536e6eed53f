"""Frozen values as JSON and back, by the types of their fields: nothing but values of those types ever comes out.

A dataclass is an object with every field; a union of several names the class: `{"TimeMoment": {"offset_ns": 0}}`.
A value whose field says `Any` is itself if it is plain, and else says what it is: `{"tuple": [1, 2]}`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, is_dataclass
from functools import cache, cached_property, partial
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

from harness.scenario.scenario import ABSENT
from harness.values.errors import HarnessError

_EXACT_INT = 1 << 53
"""From here on readers of JSON differ, so larger numbers are written in hexadecimal."""


def encode(value: Any, kind: Any) -> Any:
    """A value of that type as what `json.dumps` takes; raises HarnessError for an `Any` that JSON cannot hold."""
    return _codec(kind).encode(value)


def decode(row: Any, kind: Any) -> Any:
    """The value that `encode` wrote; raises ValueError, which says where, for anything that it did not write."""
    try:
        return _codec(kind).decode(row, "")
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


@dataclass(frozen=True)
class _Codec:
    """Both ways of one type; `decode` also gets the place, for its ValueError."""

    encode: Callable[[Any], Any]
    decode: Callable[[Any, str], Any]


@cache
def _codec(kind: Any) -> _Codec:
    if kind is Any:
        return _Codec(_encode_any, _decode_any)
    if kind is int:
        return _Codec(_encode_int, _decode_int)
    if kind is float:
        return _Codec(_encode_float, _decode_float)
    if kind in (str, bool, NoneType):
        return _Codec(lambda value: value, partial(_exactly, kind))
    if kind is Path:
        return _Codec(str, lambda row, at: Path(_exactly(str, row, at)))
    if _is_record(kind):
        record = _Record(kind)
        return _Codec(record.encode, record.decode)
    return _generic(get_origin(kind), get_args(kind))


def _is_record(kind: Any) -> bool:
    return is_dataclass(kind)


def _generic(origin: Any, arguments: tuple[Any, ...]) -> _Codec:
    if origin in (Union, UnionType):
        return _union(arguments)
    if origin is tuple and arguments[1:] == (...,):
        return _sequence(tuple, _codec(arguments[0]))
    if origin is tuple:
        return _fixed([_codec(one) for one in arguments])
    if origin is frozenset:
        return _sequence(frozenset, _codec(arguments[0]))
    if origin is Mapping and arguments[0] is str:
        return _mapping(_codec(arguments[1]))
    raise TypeError(f"{origin or arguments} has no form in JSON yet")


class _Record:
    """A dataclass; its fields are looked at when the first value comes, since moments contain moments."""

    def __init__(self, kind: Any) -> None:
        self._kind = kind

    @cached_property
    def _fields(self) -> dict[str, _Codec]:
        hints = get_type_hints(self._kind)
        return {field.name: _codec(hints[field.name]) for field in fields(self._kind)}

    def encode(self, value: Any) -> dict[str, Any]:
        return {name: codec.encode(getattr(value, name)) for name, codec in self._fields.items()}

    def decode(self, row: Any, at: str) -> Any:
        found = _exactly(dict, row, at)
        if found.keys() != self._fields.keys():
            odd = ", ".join(sorted(map(str, found.keys() ^ self._fields.keys())))
            raise ValueError(f"{self._kind.__name__}{at}: missing or unknown: {odd[:200]}")
        return self._kind(**{name: codec.decode(found[name], f"{at}.{name}") for name, codec in self._fields.items()})


def _union(members: tuple[Any, ...]) -> _Codec:
    """None, at most one type that is no dataclass, and dataclasses, named by their class if there are several."""
    records = {one.__name__: one for one in members if _is_record(one)}
    others = [one for one in members if one is not NoneType and not _is_record(one)]
    optional = NoneType in members
    if len(others) + len(records) == 1:
        (only,) = (_codec(one) for one in (*others, *records.values()))
        return _Codec(
            lambda value: None if value is None else only.encode(value),
            lambda row, at: None if row is None and optional else only.decode(row, at),
        )
    if others:
        raise TypeError(f"a union of {members} has no form in JSON yet")

    def encode_member(value: Any) -> Any:
        return None if value is None else {type(value).__name__: _codec(records[type(value).__name__]).encode(value)}

    def decode_member(row: Any, at: str) -> Any:
        if row is None and optional:
            return None
        name, inner = _only_item(row, at)
        if name not in records:
            raise ValueError(f"{at or 'it'}: none of {', '.join(records)}")
        return _codec(records[name]).decode(inner, at)

    return _Codec(encode_member, decode_member)


def _sequence(kind: Any, item: _Codec) -> _Codec:
    """A tuple of any length, or a frozenset, whose items are sorted."""
    arranged: Any = sorted if kind is frozenset else iter

    def decode_items(row: Any, at: str) -> Any:
        found = _exactly(list, row, at)
        return kind([item.decode(one, f"{at}[{index}]") for index, one in enumerate(found)])

    return _Codec(lambda value: [item.encode(one) for one in arranged(value)], decode_items)


def _fixed(items: list[_Codec]) -> _Codec:
    """A tuple of a known length."""

    def decode_items(row: Any, at: str) -> Any:
        found = _exactly(list, row, at)
        if len(found) != len(items):
            raise ValueError(f"{at or 'it'}: {len(found)} items in place of {len(items)}")
        return tuple(item.decode(one, at) for item, one in zip(items, found, strict=True))

    return _Codec(
        lambda value: [item.encode(one) for item, one in zip(items, value, strict=True)],
        decode_items,
    )


def _mapping(inner: _Codec) -> _Codec:
    """A mapping from text; it comes out as a dict, in the same order."""

    def decode_items(row: Any, at: str) -> Any:
        return {key: inner.decode(one, f"{at}.{key}") for key, one in _exactly(dict, row, at).items()}

    return _Codec(lambda value: {key: inner.encode(one) for key, one in value.items()}, decode_items)


# -- plain values ------------------------------------------------------------------------------------------------------


def _exactly(kind: type, row: Any, at: str) -> Any:
    if type(row) is not kind:
        raise ValueError(f"{at or 'it'}: {type(row).__name__} in place of {kind.__name__}")
    return row


def _only_item(row: Any, at: str) -> tuple[str, Any]:
    if type(row) is not dict or len(row) != 1:
        raise ValueError(f"{at or 'it'}: an object with one key is wanted")
    return next(iter(row.items()))


def _encode_int(value: int) -> Any:
    return value if -_EXACT_INT < value < _EXACT_INT else {"int": hex(value)}


def _decode_int(row: Any, at: str) -> int:
    return int(_exactly(int, row, at)) if type(row) is not dict else _decode_tagged(row, at, "int")


def _encode_float(value: float) -> Any:
    return value if math.isfinite(value) else {"float": str(value)}


def _decode_float(row: Any, at: str) -> Any:
    # A whole number may stand where a fraction may.
    return row if type(row) in (int, float) else _decode_tagged(row, at, "float")


def _decode_tagged(row: Any, at: str, tag: str) -> Any:
    if _only_item(row, at)[0] != tag:
        raise ValueError(f"{at or 'it'}: no {tag}")
    return _decode_any(row, at)


def _encode_any(value: Any) -> Any:
    if value is None or type(value) in (bool, str):
        return value
    if type(value) is int:
        return _encode_int(value)
    if type(value) is float:
        return _encode_float(value)
    if isinstance(value, list):
        return [_encode_any(one) for one in value]
    if isinstance(value, tuple):
        return {"tuple": [_encode_any(one) for one in value]}
    if isinstance(value, Mapping) and all(isinstance(key, str) for key in value):
        return {"mapping": {key: _encode_any(one) for key, one in value.items()}}
    if value is ABSENT:
        return {"absent": True}
    raise HarnessError(
        f"{value!r} cannot be sent to a controller; attributes are text, numbers, flags, None, and lists, tuples and "
        "mappings of these"
    )


def _decode_any(row: Any, at: str) -> Any:
    if type(row) is list:
        return [_decode_any(one, at) for one in row]
    if type(row) is not dict:
        return row
    tag, inner = _only_item(row, at)
    if tag not in _TAGS:
        raise ValueError(f"{at or 'it'}: none of {', '.join(_TAGS)}")
    return _TAGS[tag](inner, at)


def _decode_absent(row: Any, at: str) -> Any:
    _exactly(bool, row, at)
    return ABSENT


_TAGS: Mapping[str, Callable[[Any, str], Any]] = {
    "tuple": lambda row, at: tuple(_decode_any(_exactly(list, row, at), at)),
    "mapping": lambda row, at: {key: _decode_any(one, at) for key, one in _exactly(dict, row, at).items()},
    "int": lambda row, at: int(_exactly(str, row, at), 16),
    "float": lambda row, at: float(_exactly(str, row, at)),
    "absent": _decode_absent,
}
