"""What stood in the way of a call, if anything: faults, processes that ended, servers that were let go."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass
from functools import cached_property

from harness.history.joins import MAKING_STORES, Join, configured_run_id, joins
from harness.history.waiting.paths import ON_LINKS
from harness.scenario.scenario import EXIT, Scenario
from harness.values.history import History, Injection
from harness.values.json import mapping

_STRICT = "static-strict"
_MESSAGE = re.compile(r"rank [0-9]+ of run ")
"""What each message of a join of static-strict begins with."""
_ON_RANKS = ("kill", "pause", "cpu_limit", "memory_limit")
"""The faults that hit the processes of their ranks and nothing else."""
_RESOLVERS = ("resolver_gone", "slow_resolver")
RELEASING = ("drop", "shutdown")
"""The verbs after which a server may be gone, and with it every store that it served."""


@dataclass(frozen=True)
class Disturbances:
    """What may have disturbed the calls of a run. In doubt the answer is that something did."""

    scenario: Scenario
    history: History

    @cached_property
    def masters(self) -> frozenset[int]:
        """The rank processes that serve a store, or are to."""
        ranks = enumerate(self.scenario.world.ranks)
        planned = (number for number, one in ranks if any(config.rank == 0 for config in one.handlers.values()))
        return frozenset((*planned, *(join.call.rank for join in joins(self.history) if join.is_master)))

    @cached_property
    def is_strict(self) -> bool:
        """Whether the subject is static-strict, or made from it: its joins return rosters, or raise with its messages.

        docs/rendezvous.md has what it promises beyond stock, and its limits.
        """
        if self.history.begin.get("subject") == _STRICT:
            return True
        calls = [join.call for join in joins(self.history)]
        raised = [call.error.first_line for call in calls if call.error is not None]
        returned = [mapping(call.returned).get("roster") for call in calls]
        return any(map(_MESSAGE.match, raised)) or any(roster is not None for roster in returned)

    @property
    def delays_lookups(self) -> bool:
        """Whether a fault made look-ups slow: torch makes some of its own, which no deadline bounds (F11)."""
        return any(injection.kind in _RESOLVERS for injection in self.history.injections)

    @property
    def losing_queries(self) -> frozenset[int]:
        """The ranks whose queries a fault dropped on connections that went on, which no client notices (F09)."""
        lossy = (injection for injection in self.history.injections if injection.kind == "x_drop_query")
        return frozenset(rank for injection in lossy for rank in injection.ranks)

    def hit(self, ranks: Collection[int], window: tuple[int, int]) -> bool:
        """Whether a fault that can concern these ranks was in place in the window, or was about to be."""
        return any(
            _overlaps(injection, window) and (self._hits_all(injection) or not set(injection.ranks).isdisjoint(ranks))
            for injection in self.history.injections
        )

    def gone(self, ranks: Collection[int], until_ns: int) -> bool:
        """Whether a process of these ranks had ended by then, or was about to."""
        ends = (call for call in self.history.calls if call.step == EXIT and call.rank in ranks)
        times = (end.ended_ns if end.begun_ns is None else end.begun_ns for end in ends)
        return any(time_ns is not None and time_ns <= until_ns for time_ns in times)

    def released(
        self, ranks: Collection[int], until_ns: int, verbs: Collection[str] = RELEASING, run_id: str | None = None
    ) -> bool:
        """Whether a process of these ranks had begun a call of such a verb by then; of this run, if one is given."""
        return any(
            call.f in verbs
            and call.rank in ranks
            and call.begun_ns is not None
            and call.begun_ns <= until_ns
            and run_id in (None, configured_run_id(self.scenario, call))
            for call in self.history.calls
        )

    def holds_up(self, group: Collection[Join], window: tuple[int, int]) -> bool:
        """Whether a call of a member's process that makes a store, and that a fault had hit, went on in the window.

        Static-strict makes the stores of one process one after the other (docs/rendezvous.md): a constructor that waits
        at a link that was silent holds up the next one.
        """
        members = {(join.call.rank, join.call.life) for join in group}
        others = [
            call
            for call in self.history.calls
            if call.f in MAKING_STORES
            and call.invoke is not None
            and (call.rank, call.life) in members
            and (call.begun_ns or 0) < window[1]
            and (call.ended_ns is None or call.ended_ns > window[0])
        ]
        return self.is_strict and any(
            self.hit({call.rank, *self.masters}, self.history.window_of(call)) for call in others
        )

    def _hits_all(self, injection: Injection) -> bool:
        """Faults of the port and of hosts concern everybody; so does one of which nothing is known."""
        if not injection.ranks:
            return True
        faults = (fault for fault in self.scenario.faults if fault.name == injection.fault)
        is_toxic = any(fault.stream is not None for fault in faults)
        return not (is_toxic or injection.kind in (*ON_LINKS, *_ON_RANKS))


def _overlaps(injection: Injection, window: tuple[int, int]) -> bool:
    tried_ns = injection.injected_ns if injection.tried_ns is None else injection.tried_ns
    if tried_ns is None:
        return False
    return tried_ns <= window[1] and (injection.healed_ns is None or injection.healed_ns >= window[0])
