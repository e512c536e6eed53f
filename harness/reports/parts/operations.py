"""One operation of a history in a few words, and when it happened."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from harness.reports.parts.safe import one_line, short_json, shorten
from harness.values.history import History
from harness.values.ops import FAIL, INFO, INVOKE, Op
from harness.values.quantity import format_ns

# A message of torch's may be a page; the first line up to here says what it is.
MESSAGE_WIDTH = 200


def since_start(history: History, time_ns: int) -> str:
    """`+1.234 s` since the clock started; where it never did, since the first operation."""
    zero = history.start_ns or (history.ops[0].time_ns if history.ops else time_ns)
    return f"{round((time_ns - zero) / 1e9, 3) + 0.0:+.3f} s"  # + 0.0: no minus before a zero


def describe(op: Op, width: int = MESSAGE_WIDTH) -> str:
    """What the operation did, in one line: `join (rendezvous) ok {"rank": 1, ...}`."""
    parts = (one_line(_name(op)), one_line(_kind(op)), _content(op))
    return shorten(" ".join(part for part in parts if part), width)


def _name(op: Op) -> str:
    call = f"#{op.call}" if op.call != 1 else ""
    if not op.step:
        return op.f
    return f"{op.step}{call}" if op.f == op.step else f"{op.step}{call} ({op.f})"


def _kind(op: Op) -> str:
    if op.type == INFO:
        value = op.value if isinstance(op.value, Mapping) else {}
        return str(value.get("outcome", ""))
    return {INVOKE: "begins", FAIL: "failed"}.get(op.type, op.type)


def _content(op: Op) -> str:
    if op.error is not None:
        return one_line(f"{op.error.kind}: {op.error.first_line}")
    if op.value in (None, {}):
        return ""
    if op.type == INVOKE and op.f == "rendezvous" and isinstance(op.value, Mapping):
        return one_line(handler_config(op.value))
    if op.type == INFO and isinstance(op.value, Mapping) and "outcome" in op.value:
        return one_line(str(op.value.get("because", "")))
    return short_json(op.value, MESSAGE_WIDTH)


def handler_config(value: Mapping[str, Any]) -> str:
    """The configuration of a handler, in words."""
    known = []
    if "rank" in value and "world_size" in value:
        known.append(f"rank {value['rank']} of {value['world_size']}")
    if "run_id" in value:
        known.append(f"run {value['run_id']}")
    if "endpoint" in value:
        known.append(f"at {value['endpoint']}")
    if isinstance(value.get("timeout_ns"), int):
        known.append(f"timeout {format_ns(value['timeout_ns'])}")
    return ", ".join(known) if known else short_json(dict(value))
