"""Which keys a store call wrote, deleted or saw, and which writes can explain what it saw."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from harness.values.history import Call, History
from harness.values.json import mapping, whole
from harness.values.ops import LINK, Op

AWAITING = ("get", "same_bytes", "wait", "multi_get", "queue_pop")
"""The calls of a store that wait for a key."""
ANSWERED_AT_ONCE = ("set", "set_bytes", "add", "compare_set", "check", "delete_key", "num_keys", "append", "multi_set",
                    "queue_push")  # fmt: skip
"""The others: the server waits for nobody."""
STORE = (*AWAITING, *ANSWERED_AT_ONCE)
"""The calls of a store: each of them needs the server, and has the store's timeout."""


@dataclass(frozen=True)
class Write:
    """What a call may have done to a key: `append` and `add` build on what was there, `set` does not."""

    key: str
    kind: str
    value: Any


@dataclass(frozen=True)
class Count:
    """What an `add` returned, and what it had added itself."""

    result: int
    amount: int


@dataclass(frozen=True)
class Sighting:
    """What a call learnt about a key: its value, a count, or (None) only that it exists."""

    key: str
    seen: str | Count | None


@dataclass(frozen=True)
class WireKeys:
    """The keys that were seen on one link, as they are on the wire, each with the kinds of queries that named it.

    Attributes:
        evidence: index of the operation that says so.
    """

    rank: int
    keys: Mapping[str, tuple[str, ...]]
    evidence: int

    def writes(self, key: str) -> bool:
        """Whether a query on this link may have changed that key."""
        return any(kind in _CHANGING for kind in self.keys.get(key, ()))


_LARGEST_VALUE = 8 << 20
"""Torch's store refuses a longer message."""
_CHANGING = ("set", "compare_set", "add", "append", "multi_set", "queue_push", "queue_pop", "delete_key")


def wire_keys(history: History) -> tuple[WireKeys, ...]:
    """What each link has carried; empty unless the proxy server reads the store's protocol."""
    reports = [op for op in history.ops if op.f == LINK and op.process.rank is None]
    return tuple(found for op in reports if (found := _wire_keys(op)) is not None)


def _wire_keys(report: Op) -> WireKeys | None:
    """What one report says; None if it names no rank."""
    value = mapping(report.value)
    rank = whole(value.get("rank"))
    keys = {
        key: tuple(map(str, kinds))
        for key, kinds in mapping(value.get("keys")).items()
        if isinstance(kinds, (list, tuple))
    }
    return None if rank is None else WireKeys(rank, keys, report.index)


def names_on_wire(key: str, keys: Iterable[str]) -> bool:
    """Whether a key on the wire is one of these keys, which calls name without the prefixes before them."""
    return any(key == one or key.endswith(f"/{one}") for one in keys)


def keys_of(call: Call) -> tuple[str, ...]:
    """The keys that a call names: one, several or none."""
    keys = call.arguments.get("keys") or call.arguments.get("key")
    if isinstance(keys, str):
        return (keys,)
    return tuple(str(key) for key in keys) if isinstance(keys, (list, tuple)) else ()


def text_of_bytes(call: Call) -> str | None:
    """What `get` returns of the bytes that a `set_bytes` or a `same_bytes` was given.

    None if they cannot be read, or are more than a store takes.
    """
    try:
        value = bytes.fromhex(str(call.arguments.get("hex", "")))
    except ValueError:
        return None
    times = whole(call.arguments.get("repeat", 1)) or 0
    return (value * times).decode("utf-8", "backslashreplace") if len(value) * times <= _LARGEST_VALUE else None


def writes_of(call: Call) -> tuple[Write, ...]:
    """What the call wrote, or may have written if it failed after it began."""
    if call.invoke is None:
        return ()
    arguments = call.arguments
    if call.f == "multi_set":
        return tuple(Write(str(key), "set", value) for key, value in mapping(arguments.get("values")).items())
    if call.f == "set_bytes":
        return tuple(Write(key, "set", text_of_bytes(call)) for key in keys_of(call))
    if call.f == "add":
        return tuple(Write(key, "add", arguments.get("amount", 1)) for key in keys_of(call))
    if call.f == "compare_set":
        return tuple(Write(key, "set", arguments.get("desired")) for key in keys_of(call) if _may_have_swapped(call))
    kind = {"set": "set", "append": "append", "queue_push": "append"}.get(call.f)
    return () if kind is None else tuple(Write(key, kind, arguments.get("value")) for key in keys_of(call))


def _may_have_swapped(call: Call) -> bool:
    return call.outcome != "ok" or call.returned == call.arguments.get("desired")


def deletes_of(call: Call) -> tuple[str, ...]:
    """The keys that the call deleted, or may have deleted."""
    took = call.f in ("delete_key", "queue_pop") and call.invoke is not None
    return keys_of(call) if took and (call.outcome != "ok" or call.returned is not False) else ()


def sightings_of(call: Call) -> tuple[Sighting, ...]:
    """What the call proves about the keys that it names; nothing unless it returned."""
    if call.outcome != "ok":
        return ()
    keys, returned = keys_of(call), call.returned
    if call.f in ("get", "queue_pop"):
        return tuple(Sighting(key, returned) for key in keys if isinstance(returned, str))
    if call.f == "multi_get":
        values = returned if isinstance(returned, (list, tuple)) else ()
        return tuple(Sighting(key, value) for key, value in zip(keys, values, strict=False))
    if call.f == "wait" or (call.f in ("check", "delete_key") and returned is True):
        return tuple(Sighting(key, None) for key in keys)
    if call.f == "add" and isinstance(returned, int):
        return tuple(Sighting(key, Count(returned, call.arguments.get("amount", 1))) for key in keys)
    return _compared(call) if call.f == "compare_set" else ()


def _compared(call: Call) -> tuple[Sighting, ...]:
    """What a compare_set proves: only a value that it could not have returned without the key's being there."""
    expected, desired, returned = call.arguments.get("expected"), call.arguments.get("desired"), call.returned
    if not isinstance(returned, str) or expected == desired or returned == expected:
        return ()  # for a missing key stock torch returns the expected value, so nothing is known
    if returned == desired and not expected:
        return ()  # it may have made the key
    return tuple(Sighting(key, expected if returned == desired else returned) for key in keys_of(call))


def explained(value: str, writes: Iterable[Write]) -> bool:
    """Whether these writes, in some order, some of them not done, can have left that value."""
    writes = list(writes)
    if any(write.value == value for write in writes if write.kind == "set"):
        return True
    if any(write.kind == "add" for write in writes) and value.lstrip("-").isdigit():
        return True
    appends = [write for write in writes if write.kind == "append"]
    return bool(appends) and _composed(value, [str(write.value) for write in writes])


def _composed(value: str, parts: Sequence[str]) -> bool:
    """Whether the value is a sequence of these parts."""
    reached = {0}
    for position in range(len(value)):
        if position in reached:
            reached.update(position + len(part) for part in parts if part and value.startswith(part, position))
    return len(value) in reached


def possible_counts(adds: Iterable[tuple[int, bool]]) -> tuple[int, int]:
    """The least and the greatest sum of these adds: each an amount, and whether it was certainly done."""
    least = most = 0
    for amount, certain in adds:
        least += amount if certain else min(amount, 0)
        most += amount if certain else max(amount, 0)
    return least, most
