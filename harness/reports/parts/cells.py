"""One operation as a cell of a time line: `join ▶`, `join ✓ 12 ms`, `get ✗ 3.00 s DistNetworkError`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from harness.reports.parts.safe import one_line, short_json
from harness.values.ops import FAIL, INFO, INVOKE, OK, SCHEDULING, Op
from harness.values.quantity import format_ns
from harness.values.stall import LAG, STOPPED, stall_of

BEGUN, DONE, RAISED, GONE, HUNG, LEFT_OUT = "▶", "✓", "✗", "†", "∞", "○"

# Shorter delays are everyday on a machine with more worlds than processors, and explain no verdict a person asks about.
LAG_SHOWN_NS = 20_000_000
LEGEND = f"{BEGUN} begins   {DONE} ok   {RAISED} failed   {GONE} died   {HUNG} hung   {LEFT_OUT} skipped"


def rank_cell(op: Op, elapsed_ns: int | None) -> str:
    """What a rank did; `elapsed_ns` since the call began, None where that is not known."""
    name = _name(op)
    took = "" if elapsed_ns is None else f" {format_ns(elapsed_ns)}"
    if op.type == INVOKE:
        return f"{name} {BEGUN}"
    if op.type == OK:
        return f"{name} {DONE}{took}{_returned(op)}"
    if op.type == FAIL:
        return f"{name} {RAISED}{took} {_failure(op)}"
    return _unknown(op, name, took)


def _name(op: Op) -> str:
    thread = "" if op.process.thread == "main" else f"{op.process.thread}: "
    call = f"#{op.call}" if op.call != 1 else ""
    return one_line(f"{thread}{op.step or op.f}{call}")


def _returned(op: Op) -> str:
    """A join's place in its world, or a plain value; a mapping would not fit."""
    if isinstance(op.value, Mapping):
        if "rank" in op.value and "world_size" in op.value:
            return one_line(f" as {op.value['rank']}/{op.value['world_size']}")
        return ""
    return "" if op.value is None else f" {short_json(op.value, 24)}"


def _failure(op: Op) -> str:
    if op.error is None:
        return one_line(_ending(op.value))
    if op.error.kind == "ExitStatus":
        return one_line(op.error.first_line)
    return one_line(op.error.kind)


def _unknown(op: Op, name: str, took: str) -> str:
    value = op.value if isinstance(op.value, Mapping) else {}
    outcome = value.get("outcome")
    if op.type == INFO and op.f == "ready":
        life = f" life {op.process.life}" if op.process.life != 1 else ""
        return f"ready{life}"
    because = one_line(str(value.get("because") or _ending(value)))
    if outcome == "skipped":
        return f"{name} {LEFT_OUT} {because}".rstrip()
    if outcome in ("died", "hung"):
        return f"{name} {HUNG if outcome == 'hung' else GONE}{took} {because}".rstrip()
    return f"{name} {short_json(op.value)}"


def _ending(value: Any) -> str:
    """How a process ended: `status 1`, `signal 9 by master-killed`."""
    if not isinstance(value, Mapping):
        return ""
    if "signal" in value:
        return f"signal {value['signal']}{' by ' + str(value['by']) if value.get('by') else ''}"
    return f"status {value['status']}" if "status" in value else ""


def nemesis_cell(op: Op) -> str:
    """What the nemesis did."""
    value = op.value if isinstance(op.value, Mapping) else {}
    name = one_line(op.step)
    if op.f == "inject":
        return _injecting(op, name, value)
    if op.type == INVOKE:
        return f"heal {name} {BEGUN}"
    if op.type == FAIL:
        return f"heal {name} {RAISED} {one_line(str(value.get('because', '')))}".rstrip()
    touched = {True: "touched", False: "touched nothing", None: "unproven"}[value.get("touched")]
    facts = value.get("facts")
    by = facts.get("by") if isinstance(facts, Mapping) else None  # where several mechanisms can do it
    return f"heal {name} {DONE} {touched}" + (f", by {one_line(str(by))}" if by else "")


def late_by(op: Op) -> str:
    """Which part of the harness stood still or waited for a processor, and for how long."""
    stall, lasted = stall_of(op), format_ns(op.lag_ns)
    if stall is None:
        return f"the machine was late by {lasted}"
    return one_line(
        f"{stall.part} stood still for {lasted}"
        if stall.how == STOPPED
        else f"{stall.part} waited {lasted} for a processor"
    )


def late_together(ops: Sequence[Op]) -> str:
    """Lateness that nothing else came between, in one line: who, from how long to how long, how often."""
    if len(ops) == 1:
        return late_by(ops[0])
    parts: dict[str, list[int]] = {}
    for op in ops:
        stall = stall_of(op)
        if stall is None:
            how = "the machine was late by"
        else:
            how = f"{stall.part} {'stood still for' if stall.how == STOPPED else 'waited for a processor for'}"
        parts.setdefault(how, []).append(op.lag_ns)
    return one_line("; ".join(f"{how} {_range(lags)}" for how, lags in parts.items()))


def _range(lags: Sequence[int]) -> str:
    """`12 ms to 35 ms, 3 times`."""
    low, high = format_ns(min(lags)), format_ns(max(lags))
    span = high if low == high else f"{low} to {high}"
    return f"{span}, {len(lags)} times" if len(lags) > 1 else span


def _injecting(op: Op, name: str, value: Mapping[str, Any]) -> str:
    if op.type == FAIL:
        return f"{name} {RAISED} {one_line(str(value.get('because', '')))}".rstrip()
    if op.type == OK:
        return f"{name} {DONE} in place"
    kind = "" if value.get("kind") in (None, op.step) else f" {value['kind']}"
    ranks = f" on {','.join(map(str, value['ranks']))}" if value.get("ranks") else ""
    return one_line(f"{name} {BEGUN}{kind}{ranks}")


def mark(op: Op) -> str:
    """What the controller saw, as a line across all columns; empty for what a time line need not show."""
    value = op.value if isinstance(op.value, Mapping) else {}
    if op.f == "start":
        return "the clock starts"
    if op.f == LAG:
        return late_by(op) if op.lag_ns >= LAG_SHOWN_NS else ""
    if op.f == "left_behind":
        left = {key: value[key] for key in ("processes", "sockets", "proxies") if value.get(key)}
        return f"left behind: {short_json(left, 120)}" if left else ""
    if op.f == "end":
        return f"the harness failed: {one_line(str(value['error']))}" if value.get("error") else "end"
    return "" if op.f == "begin" or op.f in SCHEDULING else f"{one_line(op.f)} {short_json(op.value)}"
