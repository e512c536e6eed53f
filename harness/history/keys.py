"""Which keys a store call wrote, deleted or saw, and whose writes can explain what it saw."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from harness.values.history import Call, History
from harness.values.json import mapping
from harness.values.ops import LINK


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
    """What a call learnt of a key: its value, a count, or (None) merely that it is there."""

    key: str
    seen: str | Count | None


@dataclass(frozen=True)
class WireKeys:
    """The keys that were seen on one link, as they stand on the wire, each with the kinds of queries that named it.

    Attributes:
        evidence: the operation that tells.
    """

    rank: int
    keys: Mapping[str, tuple[str, ...]]
    evidence: int

    def writes(self, key: str) -> bool:
        """Whether a query on this link may have changed that key."""
        return any(kind in _CHANGING for kind in self.keys.get(key, ()))


_CHANGING = ("set", "compare_set", "add", "append", "multi_set", "queue_push", "queue_pop", "delete_key")


def wire_keys(history: History) -> tuple[WireKeys, ...]:
    """What each link has carried; empty unless the proxy server reads the store's protocol."""
    told = [(op.index, mapping(op.value)) for op in history.ops if op.f == LINK and op.process.rank is None]
    return tuple(
        WireKeys(int(value["rank"]), {key: tuple(kinds) for key, kinds in mapping(value.get("keys")).items()}, index)
        for index, value in told
        if "rank" in value
    )


def names_on_wire(key: str, keys: Iterable[str]) -> bool:
    """Whether a key on the wire is one of these as a call names them, with prefixes before it."""
    return any(key == one or key.endswith(f"/{one}") for one in keys)


def keys_of(call: Call) -> tuple[str, ...]:
    """The keys that a call names, whether it was given one or several."""
    told = call.arguments
    keys = told.get("keys") or told.get("key")
    if isinstance(keys, str):
        return (keys,)
    return tuple(str(key) for key in keys) if isinstance(keys, (list, tuple)) else ()


def writes_of(call: Call) -> tuple[Write, ...]:
    """What the call wrote, or may have written: a call that failed after it began is a *maybe*."""
    if call.invoke is None:
        return ()
    told = call.arguments
    if call.f == "multi_set":
        return tuple(Write(str(key), "set", value) for key, value in mapping(told.get("values")).items())
    if call.f == "add":
        return tuple(Write(key, "add", told.get("amount", 1)) for key in keys_of(call))
    if call.f == "compare_set":
        return tuple(Write(key, "set", told.get("desired")) for key in keys_of(call) if _may_have_swapped(call))
    kind = {"set": "set", "append": "append", "queue_push": "append"}.get(call.f)
    return () if kind is None else tuple(Write(key, kind, told.get("value")) for key in keys_of(call))


def _may_have_swapped(call: Call) -> bool:
    return call.outcome != "ok" or call.returned == call.arguments.get("desired")


def deletes_of(call: Call) -> tuple[str, ...]:
    """The keys that the call took away, or may have."""
    took = call.f in ("delete_key", "queue_pop") and call.invoke is not None
    return keys_of(call) if took and (call.outcome != "ok" or call.returned is not False) else ()


def sightings_of(call: Call) -> tuple[Sighting, ...]:
    """What the call proves about the keys it names; nothing unless it returned."""
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
    """What a compare_set returns proves a key only if it is neither of the values it was given, or a swap by value."""
    expected, desired, returned = call.arguments.get("expected"), call.arguments.get("desired"), call.returned
    if not isinstance(returned, str) or expected == desired or returned == expected:
        return ()  # a missing key answers with the expected value (stock does), so nothing is known
    if returned == desired and not expected:
        return ()  # a fresh key
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
    """Whether the value is some parts, one behind another."""
    reached = {0}
    for position in range(len(value)):
        if position in reached:
            reached.update(position + len(part) for part in parts if part and value.startswith(part, position))
    return len(value) in reached


def possible_counts(adds: Iterable[tuple[int, bool]]) -> tuple[int, int]:
    """The least and the most that other adds can have come to: each an amount, and whether it certainly was done."""
    least = most = 0
    for amount, certain in adds:
        least += amount if certain else min(amount, 0)
        most += amount if certain else max(amount, 0)
    return least, most
