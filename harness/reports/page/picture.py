"""The picture of a run as data: operations, calls, lives, faults and messages, on one axis of microseconds."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from harness.history.joins import run_id_of
from harness.history.keys import keys_of
from harness.history.wording import describe_end, fault_named
from harness.reports.page.columns import columns, differences
from harness.reports.page.lanes import Lanes
from harness.reports.page.strings import Strings
from harness.reports.parts.operations import describe
from harness.reports.parts.safe import short_json, shorten
from harness.scenario.scenario import EXIT, Scenario
from harness.values.history import Call, History, Injection
from harness.values.ops import INFO, OK, OUTCOMES, READY, TYPES, Op
from harness.values.plan import JOIN
from harness.values.printable import printable
from harness.values.wire import FATES, SIDES, WireMessage

MOST_OPS, MOST_MESSAGES = 20_000, 60_000
"""More than that no person looks at, and a browser takes seconds to read it; what is left out is counted."""
LONGEST_TEXT = 160
LONGEST_KEYS = 120
NEVER = -1


@dataclass(frozen=True)
class Axis:
    """Times as microseconds since the clock started; where it never did, since the first operation."""

    zero_ns: int

    @classmethod
    def of(cls, history: History) -> Axis:
        return cls(history.start_ns or (history.ops[0].time_ns if history.ops else 0))

    def at(self, time_ns: int) -> int:
        return (time_ns - self.zero_ns) // 1000

    def maybe(self, time_ns: int | None) -> int | None:
        return None if time_ns is None else self.at(time_ns)


@dataclass(frozen=True)
class Picture:
    """What the parts of one run's picture are made of."""

    scenario: Scenario
    history: History
    lanes: Lanes
    axis: Axis
    strings: Strings

    @classmethod
    def of(cls, scenario: Scenario, history: History, strings: Strings) -> Picture:
        return cls(scenario, history, Lanes.of(history, scenario.world.size), Axis.of(history), strings)

    def to_json(self) -> dict[str, Any]:
        """The parts; indexes of operations are those of the history, as far as it is kept."""
        ops = self.history.ops[:MOST_OPS]
        messages = self.history.wire.messages[:MOST_MESSAGES] if self.history.wire is not None else ()
        missing = self.history.wire.dropped if self.history.wire is not None else 0
        stored = 0 if self.history.wire is None else len(self.history.wire.messages)
        return {
            "size": self.scenario.world.size,
            "end": self.axis.at(self.history.ops[-1].time_ns) if self.history.ops else 0,
            "lanes": self.lanes.to_json(),
            "ops": self._ops(ops),
            "calls": self._calls(len(ops)),
            "faults": [self._fault(one) for one in self.history.injections],
            "messages": self._messages(messages),
            "lives": list(self._lives()),
            "cut": {"ops": len(self.history.ops) - len(ops), "messages": missing + stored - len(messages)},
        }

    # -- operations and calls ----------------------------------------------------------------------------------------

    def _ops(self, ops: Sequence[Op]) -> dict[str, list[Any]]:
        keys = self._keys_by_op()
        names = ("t", "lane", "life", "type", "f", "step", "call", "key", "text")
        found = columns(names, (self._op(op, keys.get(op.index, "")) for op in ops))
        return {**found, "t": differences(found["t"])}

    def _op(self, op: Op, key: str) -> tuple[int, ...]:
        string = self.strings.position
        return (
            self.axis.at(op.time_ns),
            self.lanes.of_process(op.process),
            op.process.life,
            TYPES.index(op.type),
            string(op.f),
            string(op.step),
            op.call,
            string(key),
            string(self._ends.get(op.index) or _said(op)),
        )

    def _keys_by_op(self) -> Mapping[int, str]:
        """The keys of each store call, by the indexes of its operations."""
        return {index: _keys(keys_of(call)) for call in self.history.calls for index in call.evidence}

    def _calls(self, kept: int) -> dict[str, list[Any]]:
        names = ("lane", "life", "begin", "end", "outcome", "label", "step", "key")
        shown = [call for call in self.history.calls if call.f != EXIT and all(one < kept for one in call.evidence)]
        return columns(names, map(self._call, shown))

    def _call(self, call: Call) -> tuple[int, ...]:
        string = self.strings.position
        first = call.invoke or call.end
        return (
            self.lanes.of_process(first.process) if first is not None else NEVER,
            call.life,
            NEVER if call.invoke is None else call.invoke.index,
            NEVER if call.end is None else call.end.index,
            OUTCOMES.index(call.outcome),
            string(self._label(call)),
            string(call.step),
            string(_keys(keys_of(call))),
        )

    def _label(self, call: Call) -> str:
        """The step, which of its calls it is, and of a join its run where there are several."""
        name = call.step if call.number == 1 else f"{call.step}#{call.number}"
        return f"{name}, run {run_id_of(call)}" if call.f == JOIN and self._has_several_runs else name

    @cached_property
    def _has_several_runs(self) -> bool:
        return len({run_id_of(call) for call in self.history.rendezvous_calls}) > 1

    # -- lives -------------------------------------------------------------------------------------------------------

    def _lives(self) -> Iterable[dict[str, Any]]:
        """From when to when each process of a rank was there, and how it ended."""
        ends = {(call.rank, call.life): call for call in self.history.calls if call.f == EXIT}
        for (rank, life), begun_ns in self._births().items():
            end = ends.get((rank, life))
            gone = None if end is None or end.end is None else end.end
            yield {
                "rank": rank,
                "life": life,
                "from": self.axis.at(begun_ns),
                "to": None if gone is None else self.axis.at(gone.time_ns),
                "op": NEVER if gone is None else gone.index,
                "died": gone is not None and gone.type != OK,
                "end": self._ends.get(NEVER if gone is None else gone.index, ""),
            }

    @cached_property
    def _ends(self) -> Mapping[int, str]:
        """How each process ended, as a sentence, by the index of the operation that says so."""
        ends = (call for call in self.history.calls if call.f == EXIT and call.end is not None)
        return {call.evidence[-1]: shorten(f"process {describe_end(call)}", LONGEST_TEXT) for call in ends}

    def _births(self) -> dict[tuple[int, int], int]:
        found: dict[tuple[int, int], int] = {}
        for op in self.history:
            rank = op.process.rank
            if rank is not None and (op.f == READY or op.step):
                found.setdefault((rank, op.process.life), op.time_ns)
        return dict(sorted(found.items()))

    # -- faults and messages -----------------------------------------------------------------------------------------

    def _fault(self, one: Injection) -> dict[str, Any]:
        at = self.axis.maybe
        written = next((fault for fault in self.scenario.faults if fault.name == one.fault), None)
        facts = f" {short_json(dict(one.facts), LONGEST_TEXT)}" if one.facts else ""
        return {
            "name": printable(one.fault),
            "kind": printable(one.kind),
            "ranks": list(one.ranks),
            "lanes": self.lanes.of_ranks(one.ranks),
            "tried": at(one.tried_ns),
            "injected": at(one.injected_ns),
            "healing": at(one.healing_ns),
            "healed": at(one.healed_ns),
            "touched": one.touched,
            "failed": printable(one.failed or ""),
            "text": printable(f"{fault_named(one.fault, one.kind)}{facts}"),
            "ops": list(one.evidence),
            "line": 0 if written is None else written.line,
        }

    def _messages(self, messages: Sequence[WireMessage]) -> dict[str, list[Any]]:
        positions = {message.number: position for position, message in enumerate(messages)}
        names = ("t", "rank", "side", "kind", "key", "fate", "sent", "held", "by", "answers", "connection")
        found = columns(names, (self._message(message, positions) for message in messages))
        return {**found, "t": differences(found["t"])}

    def _message(self, message: WireMessage, positions: Mapping[int, int]) -> tuple[int, ...]:
        string = self.strings.position
        answers = message.answers
        return (
            self.axis.at(message.time_ns),
            message.rank,
            SIDES.index(message.side),
            string(message.kind),
            string(_keys(message.keys)),
            FATES.index(message.fate),
            NEVER if message.sent_ns is None else max(0, (message.sent_ns - message.time_ns) // 1000),
            message.held_ns // 1000,
            string(message.by),
            NEVER if answers is None else positions.get(answers, NEVER),
            message.connection,
        )


def _said(op: Op) -> str:
    """What an operation did; how a call ended that did not return stands apart from why."""
    text = describe(op, LONGEST_TEXT)
    outcome = op.value.get("outcome") if op.type == INFO and isinstance(op.value, Mapping) else None
    return text.replace(f" {outcome} ", f" {outcome}: ", 1) if outcome else text


def _keys(keys: Sequence[str]) -> str:
    return shorten(", ".join(keys), LONGEST_KEYS)
