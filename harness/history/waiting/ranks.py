"""What a rank process was doing at a time, and why a step of it had not come by then."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from harness.history.waiting.edges import (
    BEGAN_LATE,
    BUSY,
    CERTAIN,
    DIED,
    ENDED,
    FROZEN,
    GATED,
    LIKELY,
    NEVER_BEGAN,
    SKIPPED,
)
from harness.history.waiting.stuck import named
from harness.history.wording import fault_named
from harness.scenario.scenario import EXIT, Scenario, Step
from harness.values.history import Call, History
from harness.values.json import mapping, whole
from harness.values.ops import GATE, NEVER_START, REAP, RELEASE, RESUME, SUSPEND, Op
from harness.values.quantity import format_ns

GUARD = "guard"
AT_THE_START_S = 0.005


@dataclass(frozen=True)
class Absence:
    """Why a step of a rank had not come.

    Attributes:
        clause: what follows `which` in a sentence: `never began`.
        inside: the call that the rank was in instead.
    """

    why: str
    sure: str
    clause: str
    evidence: tuple[int, ...] = ()
    inside: Call | None = None


@dataclass(frozen=True)
class Span:
    """From when to when something was so; `until_ns` is None if it was so up to the end."""

    since_ns: int
    until_ns: int | None
    op: int

    def covers(self, from_ns: int, to_ns: int) -> bool:
        return self.since_ns <= from_ns and (self.until_ns is None or self.until_ns >= to_ns)

    def overlap_ns(self, from_ns: int, to_ns: int) -> int:
        until_ns = to_ns if self.until_ns is None else min(self.until_ns, to_ns)
        return max(0, until_ns - max(self.since_ns, from_ns))


class RankFacts:
    """What the operations of the harness say about its rank processes."""

    def __init__(self, scenario: Scenario, history: History) -> None:
        self._scenario = scenario
        self._history = history
        self._turns: dict[int, list[Op]] = defaultdict(list)
        self._never: dict[int, Op] = {}
        self._frozen: dict[int, list[Span]] = defaultdict(list)
        self._gates: dict[tuple[int, int, int], int] = {}
        self._calls: dict[int, list[Call]] = defaultdict(list)
        self._released = False
        for call in history.calls:
            self._calls[call.rank].append(call)
        for op in history.ops:
            if op.process.rank is None:
                self._note(op)

    def _note(self, op: Op) -> None:
        value = mapping(op.value)
        rank = whole(value.get("rank"))
        if op.f == RELEASE:
            self._released = True
            for one in _items(value.get("ranks")):
                if whole(one) is not None:
                    self._turns[one].append(op)
        elif op.f == GATE:
            for gate in (*_items(value.get("go")), *_items(value.get("skip"))):
                numbers = tuple(number for one in _items(gate) if (number := whole(one)) is not None)
                if len(numbers) == 3:
                    self._gates[numbers] = op.time_ns
        elif rank is None:
            return
        elif op.f == REAP:
            self._turns[rank].append(op)
        elif op.f == NEVER_START:
            self._never[rank] = op
        elif op.f == SUSPEND:
            self._frozen[rank].append(Span(op.time_ns, None, op.index))
        elif op.f == RESUME and self._frozen[rank]:
            last = self._frozen[rank][-1]
            self._frozen[rank][-1] = Span(last.since_ns, op.time_ns, last.op)

    @property
    def has_agents(self) -> bool:
        """Whether the ranks are torchrun agents, which are not the processes that make store calls."""
        return self._scenario.world.torchrun is not None

    @property
    def ever_frozen(self) -> set[int]:
        """The ranks whose process was ever stopped."""
        return set(self._frozen)

    def frozen(self, rank: int) -> Sequence[Span]:
        """The times for which a rank's process was stopped."""
        return self._frozen.get(rank, ())

    def ended(self, rank: int, time_ns: int) -> Op | None:
        """The end of a rank's process, if it had ended by then and no next life had begun."""
        turns = [op for op in self._turns.get(rank, ()) if op.time_ns <= time_ns]
        return turns[-1] if turns and turns[-1].f == REAP else None

    def had_begun(self, rank: int, time_ns: int) -> bool:
        """Whether a rank had been sent off by then, or had made a call; True where the history does not say."""
        if not self._released or any(0 < (call.begun_ns or 0) <= time_ns for call in self._calls.get(rank, ())):
            return True
        return any(op.f == RELEASE and op.time_ns <= time_ns for op in self._turns.get(rank, ()))

    def call_at(self, rank: int, thread: str, time_ns: int) -> Call | None:
        """The call that a thread of a rank was in."""
        for call in reversed(self._calls.get(rank, ())):
            if call.thread == thread and call.begun_ns is not None and call.begun_ns <= time_ns and call.step != EXIT:
                return call if call.ended_ns is None or call.ended_ns > time_ns else None
        return None

    def describe_end(self, op: Op) -> str:
        """`was killed by the fault x at +1.20 s`, `had ended with status 0 at +1.20 s`."""
        value, at = mapping(op.value), self.at(op.time_ns)
        by = str(value.get("by") or "")
        if by == GUARD:
            return f"its guard had ended at {at}"
        if by.startswith("fault "):
            return f"was killed by the {by} at {at}"
        if "signal" in value:
            return f"had died of signal {value['signal']} at {at}"
        return f"had ended with status {value.get('status')} at {at}"

    def at(self, time_ns: int) -> str:
        """`+1.20 s`: since the clock started."""
        return f"{max(0.0, self._history.seconds(time_ns)):+.2f} s"

    def during(self, span: Span, until_ns: int) -> str:
        """`from +1.20 s on`, `from the start to +2.40 s`: when something was so, up to that time."""
        since = "the start" if self._history.seconds(span.since_ns) < AT_THE_START_S else self.at(span.since_ns)
        over = span.until_ns is not None and span.until_ns < until_ns
        return f"from {since} to {self.at(span.until_ns or 0)}" if over else f"from {since} on"

    # -- why a step had not come -------------------------------------------------------------------------------

    def absence(self, rank: int, time_ns: int, steps: Iterable[Step]) -> Absence | None:
        """Why none of these steps of a rank had begun by then; None if the history does not say."""
        return next(self._absences(rank, time_ns, list(steps)), None)

    def _absences(self, rank: int, time_ns: int, steps: list[Step]) -> Iterator[Absence]:
        never = self._never.get(rank)
        if never is not None and not self.had_begun(rank, time_ns):
            yield Absence(NEVER_BEGAN, CERTAIN, "never began", (never.index,))
        if not self.had_begun(rank, time_ns):
            yield self._late(rank, time_ns)
        yield from self._gone(rank, time_ns)
        yield from self._stopped(rank, time_ns)
        yield from self._on_its_way(rank, time_ns, steps)

    def _late(self, rank: int, time_ns: int) -> Absence:
        begins = [op for op in self._turns.get(rank, ()) if op.f == RELEASE]
        if not begins:
            return Absence(NEVER_BEGAN, CERTAIN, "never began")
        later = format_ns(begins[0].time_ns - time_ns)
        return Absence(BEGAN_LATE, CERTAIN, f"began {later} later", (begins[0].index,))

    def _gone(self, rank: int, time_ns: int) -> Iterator[Absence]:
        end = self.ended(rank, time_ns)
        if end is None or self.has_agents:
            return
        value = mapping(end.value)
        why = DIED if "signal" in value else ENDED
        yield Absence(why, CERTAIN, self.describe_end(end), (end.index,))

    def _stopped(self, rank: int, time_ns: int) -> Iterator[Absence]:
        for span in self.frozen(rank) if not self.has_agents else ():
            if span.covers(time_ns, time_ns):
                fault = self.freezer(rank, span)
                yield Absence(FROZEN, CERTAIN, f"was frozen{fault} {self.during(span, time_ns)}", (span.op,))

    def freezer(self, rank: int, span: Span) -> str:
        """` by the fault x (pause)`; empty if that is not known."""
        for injection in self._history.injections:
            tried_ns, placed_ns = injection.tried_ns, injection.injected_ns
            if rank not in injection.ranks or tried_ns is None or placed_ns is None:
                continue
            if tried_ns <= span.since_ns <= placed_ns:
                return f" by the fault {fault_named(injection.fault, injection.kind)}"
        return ""

    def _on_its_way(self, rank: int, time_ns: int, steps: list[Step]) -> Iterator[Absence]:
        """It lived and ran: it was in an earlier call, or its step waited for a moment, or was skipped."""
        for step in steps:
            skipped = next(
                (c for c in self._calls.get(rank, ()) if c.step == step.name and c.outcome == "skipped"), None
            )
            inside = self.call_at(rank, step.thread, time_ns)
            if inside is not None:
                yield Absence(BUSY, CERTAIN, f"was in {named(inside)}", inside.evidence, inside)
            elif skipped is not None:
                yield Absence(SKIPPED, CERTAIN, f"skipped its {step.name}", skipped.evidence)
            elif step.after is not None and not self._was_decided(rank, step, time_ns):
                yield Absence(GATED, LIKELY, f"held its {step.name} back until {step.after}")

    def _was_decided(self, rank: int, step: Step, time_ns: int) -> bool:
        index = self._scenario.steps.index(step)
        return any(
            gate[0] == rank and gate[2] == index and decided_ns <= time_ns for gate, decided_ns in self._gates.items()
        )


def _items(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []
