"""One run as trace events, the JSON that ui.perfetto.dev reads.

The format: https://docs.google.com/document/d/1CvAClvFfyA5R-PhYUmn5OOQtYMH4h6I0nSsKchNAySU (Trace Event Format).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from harness.history.wording import describe_end
from harness.reports.page.lanes import Lanes
from harness.reports.page.picture import Axis
from harness.reports.parts.operations import describe
from harness.scenario.scenario import Scenario
from harness.values.history import Call, History, Injection
from harness.values.printable import printable
from harness.values.wire import PASSED, WireMessage

NEMESIS_PID, WIRE_PID = 1, 2
FIRST_RANK_PID = 10
"""Of rank 0: a trace has processes, and each rank is one."""

Event = dict[str, Any]


def trace_of(scenario: Scenario, history: History) -> dict[str, Any]:
    """The whole document: a process for each rank, one for the nemesis, one for the wire; times in microseconds."""
    lanes = Lanes.of(history, scenario.world.size)
    return {
        "displayTimeUnit": "ms",
        "otherData": {"scenario": printable(scenario.id), "title": printable(scenario.title)},
        "traceEvents": [
            *_names(lanes, scenario.world.size),
            *_calls(history, lanes),
            *_faults(history),
            *_messages(history),
        ],
    }


def _names(lanes: Lanes, size: int) -> Iterator[Event]:
    named = [(NEMESIS_PID, "faults"), (WIRE_PID, "messages")]
    named += [(FIRST_RANK_PID + rank, f"rank {rank}") for rank in range(size)]
    for order, (pid, name) in enumerate(named):
        yield _meta("process_name", pid, 0, {"name": name})
        yield _meta("process_sort_index", pid, 0, {"sort_index": order})
    for (rank, thread), lane in lanes.of_threads.items():
        yield _meta("thread_name", FIRST_RANK_PID + rank, lane, {"name": printable(thread)})


def _meta(name: str, pid: int, tid: int, args: dict[str, Any]) -> Event:
    return {"ph": "M", "name": name, "pid": pid, "tid": tid, "args": args}


def _calls(history: History, lanes: Lanes) -> Iterator[Event]:
    axis = Axis.of(history)
    for call in history.calls:
        first = call.invoke or call.end
        if first is None:
            continue
        begun_ns, ended_ns = history.window_of(call)
        place = {"pid": FIRST_RANK_PID + call.rank, "tid": lanes.of_process(first.process), "ts": axis.at(begun_ns)}
        if call.outcome == "skipped":
            yield {"ph": "i", "s": "t", "name": f"{call.step} skipped", "cat": call.f, **place, "args": _args(call)}
        else:
            span = axis.at(ended_ns) - axis.at(begun_ns)
            yield {"ph": "X", "name": printable(call.step), "cat": call.f, **place, "dur": span, "args": _args(call)}


def _args(call: Call) -> dict[str, Any]:
    said = [printable(describe(op)) for op in (call.invoke, call.end) if op is not None]
    return {"outcome": call.outcome, "life": call.life, "end": printable(describe_end(call)), "operations": said}


def _faults(history: History) -> Iterator[Event]:
    axis = Axis.of(history)
    last_ns = history.ops[-1].time_ns if history.ops else 0
    for number, fault in enumerate(history.injections):
        if fault.injected_ns is None:
            continue
        span = axis.at(fault.healed_ns or last_ns) - axis.at(fault.injected_ns)
        place = {"pid": NEMESIS_PID, "tid": number, "ts": axis.at(fault.injected_ns), "dur": span}
        yield _meta("thread_name", NEMESIS_PID, number, {"name": printable(fault.fault)})
        yield {"ph": "X", "name": printable(fault.fault), "cat": "fault", **place, "args": _fault_args(fault)}


def _fault_args(fault: Injection) -> dict[str, Any]:
    return {"kind": printable(fault.kind), "ranks": list(fault.ranks), "touched": fault.touched}


def _messages(history: History) -> Iterator[Event]:
    """Each message as an instant, or for as long as it was held; a query and its reply are bound by a flow."""
    axis = Axis.of(history)
    for message in history.wire.messages if history.wire is not None else ():
        at = axis.at(message.time_ns)
        place = {"pid": WIRE_PID, "tid": message.rank, "cat": "wire"}
        name = printable(f"{message.kind} {message.side}")
        span = max(1, axis.at(message.sent_ns) - at) if message.sent_ns is not None else 1
        yield {"ph": "X", "name": name, **place, "ts": at, "dur": span, "args": _message_args(message)}
        query = message.answers or message.number
        flow = {"name": "answer", "id": query, **place, "ts": at}
        yield {"ph": "f", "bp": "e", **flow} if message.answers else {"ph": "s", **flow}


def _message_args(message: WireMessage) -> dict[str, Any]:
    fate = message.fate if message.fate == PASSED else f"{message.fate} by {message.by}" if message.by else message.fate
    return {"keys": [printable(key) for key in message.keys], "fate": fate, "connection": message.connection}
