"""How large a document is: the number that shrinking makes smaller."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from harness.explore.edits import Document, entries, ranks_in, scalars, simple_moments
from harness.values.quantity import NANOSECONDS, is_duration, parse_duration

FIXED_OF_STEPS = ("id", "do", "key", "keys", "value", "values", "after", "ranks")
FIXED_OF_FAULTS = ("id", "inject", "ranks", "after", "until", "for", "stream")
FIXED_OF_WORLDS = ("size", "timeout", "guard", "ranks")
SIMPLER_KINDS: Mapping[str, Sequence[str]] = {
    "x_stall": ("blackhole",),
    "x_hold": ("blackhole",),
    "x_drop_query": ("blackhole",),
    "x_drop_reply": ("blackhole",),
    "x_accept_never_read": ("blackhole",),
    "pause": ("blackhole",),
    "limit_data": ("blackhole", "down"),
    "x_cut": ("x_rst_now", "down"),
    "reset_peer": ("down",),
    "x_rst_now": ("down",),
    "x_half_close": ("down",),
    "x_refuse": ("down",),
    "bandwidth": ("latency",),
    "slicer": ("latency",),
}
"""By kind, simpler faults with the same effect on the rank: bytes that vanish, connections that end, bytes that come
late. A cause that shows under the simpler one has one key, whichever fault found it."""


def measure(document: Document) -> tuple[int, ...]:
    """How large it is; the first number that differs decides which of two documents is smaller.

    Faults, ranks, steps, calls, settings of steps and ranks, claims, moments, ends of faults, settings of faults,
    timings, world, values.
    """
    steps, faults, world = entries(document, "workload"), entries(document, "faults"), document["world"]
    ranks: Mapping[Any, Mapping[str, Any]] = world.get("ranks") or {}
    size = int(world["size"])
    moments = [entry.get("after") for entry in (*steps, *faults)] + [about.get("start") for about in ranks.values()]
    return (
        len(faults),
        size,
        len(steps),
        sum(_calls(step, size) for step in steps),
        sum(len(set(step) - set(FIXED_OF_STEPS)) for step in steps)
        + sum(map(len, ranks.values()))
        + len(set(world) - set(FIXED_OF_WORLDS)),
        len(entries(document, "expect")),
        sum(_weight(moment) for moment in moments),
        sum(2 if "until" in fault else 1 if "for" in fault else 0 for fault in faults),
        sum(_fault_weight(fault) for fault in faults),
        sum(map(_digits, scalars([steps, faults, list(ranks.values())]))),
        seconds(world.get("timeout")),
        len(list(scalars(document))),
    )


def _calls(step: Mapping[str, Any], size: int) -> int:
    return len(ranks_in(step.get("ranks", "all"), size)) * max(int(step.get("times") or 1), int(step.get("calls") or 1))


def _weight(moment: Any) -> int:
    """None 0, the start and a time 1, the end of a step or a fault in place 2, other moments of them 3, a message 6."""
    weights = []
    for part in simple_moments(moment):
        if isinstance(part, Mapping):
            inner = part.get("wire", {})
            extra = len(set(part) - {"wire", "step", "fault"}) + len(set(inner) - {"query", "reply"})
            weights.append((6 if "wire" in part else 2) + extra)
        else:
            weights.append(1 if is_duration(part) else 2)
    return sum(weights) + max(0, len(weights) - 1)


def _fault_weight(fault: Mapping[str, Any]) -> int:
    """A kind with simpler ones beside it counts most, then both streams, then each attribute."""
    kind, depth = str(fault.get("inject")), 0
    while kind in SIMPLER_KINDS:
        kind, depth = SIMPLER_KINDS[kind][0], depth + 1
    attributes = set(fault) - set(FIXED_OF_FAULTS)
    return 10 * depth + 2 * (fault.get("stream") == "both") + len(attributes)


def _digits(value: Any) -> int:
    """How far from a round number a duration is: its significant digits, less for 1, 2 and 5."""
    if not isinstance(value, str) or not is_duration(value):
        return 0
    digits = str(abs(parse_duration(value).offset_ns)).strip("0")
    return 2 * len(digits) - (digits in ("1", "2", "5", ""))


def seconds(timeout: Any) -> int:
    return parse_duration(timeout or "5s").offset_ns // NANOSECONDS["s"]
