"""Everything that has progress so far in a play, as the schedule asks for it."""

from __future__ import annotations

from dataclasses import dataclass, field

from harness.scenario.moment import WireMoment

CallKey = tuple[str, int, int, int]
"""Step name, rank, life, call number."""


@dataclass
class CallState:
    """How far one call is."""

    begun_ns: int | None = None
    ended_ns: int | None = None
    outcome: str | None = None


@dataclass
class FaultState:
    """How far one fault is; `failed` if it could not be injected."""

    injected_ns: int | None = None
    healed_ns: int | None = None
    failed: bool = False


@dataclass
class LifeState:
    """How far one rank is.

    Attributes:
        life: which life it is in; of a torchrun agent its newest worker's.
        begun: whether it was told to begin.
        ended: whether its process has ended; of a torchrun agent its worker too.
        first_life: the life in which its process began: an agent's `exit` is in that one.
        agent_ended: whether an agent has ended, its worker may go on.
        worker: of an agent, whether its worker is there and can be told something.
        starts_worker: of an agent, whether it has joined and its worker is not there yet.
    """

    life: int = 1
    begun: bool = False
    ended: bool = False
    first_life: int = 1
    agent_ended: bool = False
    worker: bool = False
    starts_worker: bool = False


@dataclass
class Progress:
    """Everything that has progress so far, as the questions of a schedule need it."""

    start_ns: int = 0
    calls: dict[CallKey, CallState] = field(default_factory=dict)
    faults: dict[str, FaultState] = field(default_factory=dict)
    ranks: dict[int, LifeState] = field(default_factory=dict)
    running: set[CallKey] = field(default_factory=set)
    wire: dict[WireMoment, int] = field(default_factory=dict)
    """When a message that is waited for (`WireMoment.message`) passed the proxy server."""
    last_ns: int = 0
    """When something progress last: a call began or ended, a worker came or went."""

    def mark_activity(self, time_ns: int) -> None:
        """Something progress."""
        self.last_ns = max(self.last_ns, time_ns)

    def begun(self, key: CallKey, time_ns: int) -> None:
        """A call began."""
        self.calls.setdefault(key, CallState()).begun_ns = time_ns
        self.running.add(key)
        self.mark_activity(time_ns)

    def ended(self, key: CallKey, time_ns: int, outcome: str) -> None:
        """A call ended, was skipped, or died; the first end counts."""
        call = self.calls.setdefault(key, CallState())
        if call.ended_ns is None:
            call.ended_ns, call.outcome = time_ns, outcome
        self.running.discard(key)
        self.mark_activity(time_ns)

    def has_ended(self, key: CallKey) -> bool:
        call = self.calls.get(key)
        return call is not None and call.ended_ns is not None

    def fault(self, name: str) -> FaultState:
        return self.faults.setdefault(name, FaultState())

    def rank(self, rank: int) -> LifeState:
        return self.ranks.setdefault(rank, LifeState())
