"""What has happened so far in a play: folded from its operations, one by one, and only read by everybody else."""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any, Protocol

from harness.scenario.moment import SeenMoment, WireMoment
from harness.values.ops import (
    DISMISS,
    FAIL,
    GATE,
    INVOKE,
    LAUNCH,
    NEVER_START,
    OK,
    REAP,
    RELEASE,
    RESUME,
    SEEN,
    SUSPEND,
    WIRE,
    WORKER,
    Op,
    outcome_of,
)

CallKey = tuple[str, int, int, int]
"""Step name, rank, life, call number."""

Gate = tuple[int, int, int]
"""Rank, life, index of the step: a step of one life that waits for a moment."""


@dataclass(frozen=True)
class CallState:
    """How far one call is.

    Attributes:
        suspended_ns: how long its process was stopped while it ran, as far as it goes on again.
    """

    begun_ns: int | None = None
    ended_ns: int | None = None
    outcome: str | None = None
    suspended_ns: int = 0


@dataclass(frozen=True)
class FaultState:
    """How far one fault is; `failed` if it could not be injected."""

    injected_ns: int | None = None
    healed_ns: int | None = None
    failed: bool = False

    @property
    def may_be_injected(self) -> bool:
        return self.injected_ns is None and not self.failed

    @property
    def is_active(self) -> bool:
        """Whether it is in place and not healed."""
        return self.injected_ns is not None and self.healed_ns is None


@dataclass(frozen=True)
class LifeState:
    """How far one rank is.

    Attributes:
        life: which life it is in.
        first_life: the life in which its process began: the process's `exit` belongs to that one.
        begun: whether it was released.
        ended: whether nothing of it runs any more.
    """

    life: int = 1
    first_life: int = 1
    begun: bool = False
    ended: bool = False


class LifeFold(Protocol):
    """How an operation changes the state of a rank; each way to run ranks has one (`harness.schedule.lives`)."""

    def first(self) -> LifeState:
        """Of a rank of which nothing was heard."""

    def fold(self, state: LifeState, op: Op) -> LifeState:
        """The state after an operation that concerns the rank."""


_CALL, _FAULT = CallState(), FaultState()


class Progress:
    """What has happened, as the questions of schedule, hang guard and faults need it."""

    def __init__(self, lives: LifeFold) -> None:
        self._lives = lives
        self._first_life = lives.first()
        self._start_ns = self._last_ns = 0
        self._calls: dict[CallKey, CallState] = {}
        self._running: set[CallKey] = set()
        self._faults: dict[str, FaultState] = {}
        self._ranks: dict[int, LifeState] = {}
        self._wire: dict[WireMoment, int] = {}
        self._seen: dict[SeenMoment, int] = {}
        self._decided: set[Gate] = set()
        self._suspended: dict[int, int] = {}

    @property
    def start_ns(self) -> int:
        """When the clock of the play started; 0 before."""
        return self._start_ns

    @property
    def last_ns(self) -> int:
        """When a call began or ended, or a process came or went, for the last time."""
        return self._last_ns

    @property
    def calls(self) -> Mapping[CallKey, CallState]:
        return MappingProxyType(self._calls)

    @property
    def running(self) -> AbstractSet[CallKey]:
        """Calls that have begun and not ended."""
        return self._running

    @property
    def ranks(self) -> Mapping[int, LifeState]:
        """Of the ranks of which anything was heard."""
        return MappingProxyType(self._ranks)

    @property
    def decided(self) -> AbstractSet[Gate]:
        """Gates that were answered: their steps have begun, or never will."""
        return self._decided

    @property
    def suspended(self) -> Mapping[int, int]:
        """By rank that is stopped now, since when."""
        return MappingProxyType(self._suspended)

    def call(self, key: CallKey) -> CallState:
        return self._calls.get(key, _CALL)

    def has_ended(self, key: CallKey) -> bool:
        """Whether a call has ended, was skipped, or died."""
        return self.call(key).ended_ns is not None

    def fault(self, name: str) -> FaultState:
        return self._faults.get(name, _FAULT)

    def rank(self, rank: int) -> LifeState:
        return self._ranks.get(rank, self._first_life)

    def passed_ns(self, message: WireMoment) -> int | None:
        """When a message that is waited for (`WireMoment.message`) passed the proxy server; None if it has not."""
        return self._wire.get(message)

    def seen_ns(self, sight: SeenMoment) -> int | None:
        """When something of a job that is waited for (`SeenMoment.sight`) was seen; None if it has not been."""
        return self._seen.get(sight)


class FoldedProgress(Progress):
    """The progress of one play as its log changes it."""

    def fold(self, op: Op) -> None:
        """Take in one operation; operations that change nothing are passed over."""
        if op.process.rank is None:
            self._fold_harness(op)
        elif op.f == WORKER:
            self._fold_life(op.process.rank, op)
            self._mark_activity(op.time_ns)
        elif op.step:
            self._fold_call(op, op.process.rank)

    def _fold_call(self, op: Op, rank: int) -> None:
        key = (op.step, rank, op.process.life, op.call)
        state = self.call(key)
        if op.type == INVOKE:
            self._calls[key] = replace(state, begun_ns=op.time_ns)
            self._running.add(key)
        else:
            if state.ended_ns is None:  # the first end counts
                self._calls[key] = replace(state, ended_ns=op.time_ns, outcome=outcome_of(op))
            self._running.discard(key)
        self._fold_life(rank, op)
        self._mark_activity(op.time_ns)

    def _fold_harness(self, op: Op) -> None:
        value: Mapping[str, Any] = op.value if isinstance(op.value, Mapping) else {}
        if op.f == "start":
            self._start_ns = op.time_ns
        elif op.f in ("inject", "heal"):
            self._fold_fault(op)
        elif op.f == WIRE:
            self._wire[WireMoment.from_json(value)] = op.time_ns
        elif op.f == SEEN:
            self._seen[SeenMoment.from_json(value)] = op.time_ns
        elif op.f == GATE:
            self._decided.update((rank, life, index) for rank, life, index in (*value["go"], *value["skip"]))
        elif op.f in (LAUNCH, RELEASE):
            for rank in value["ranks"]:
                self._fold_life(rank, op)
        elif op.f in (REAP, NEVER_START):
            self._fold_life(value["rank"], op)
        elif op.f in (SUSPEND, RESUME):
            self._fold_suspension(value["rank"], op)
        if op.f in (RELEASE, REAP, DISMISS):
            self._mark_activity(op.time_ns)

    def _fold_fault(self, op: Op) -> None:
        state = self.fault(op.step)
        if (op.f, op.type) == ("inject", OK):
            self._faults[op.step] = replace(state, injected_ns=op.time_ns)
        elif (op.f, op.type) == ("inject", FAIL):
            self._faults[op.step] = replace(state, failed=True)
        elif (op.f, op.type) == ("heal", OK):
            self._faults[op.step] = replace(state, healed_ns=op.time_ns)

    def _fold_suspension(self, rank: int, op: Op) -> None:
        if op.f == SUSPEND:
            self._suspended.setdefault(rank, op.time_ns)
            return
        since_ns = self._suspended.pop(rank, None)
        if since_ns is None:
            return
        for key in self._running:
            if key[1] == rank:
                state = self.call(key)
                stopped_ns = op.time_ns - max(since_ns, state.begun_ns or 0)
                self._calls[key] = replace(state, suspended_ns=state.suspended_ns + stopped_ns)

    def _fold_life(self, rank: int, op: Op) -> None:
        before = self.rank(rank)
        after = self._lives.fold(before, op)
        if after is not before:
            self._ranks[rank] = after

    def _mark_activity(self, time_ns: int) -> None:
        self._last_ns = max(self._last_ns, time_ns)
