"""Who waits for whom: a pure function of a scenario and a history."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from harness.history.joins import run_id_of
from harness.history.keys import AWAITING
from harness.history.waiting.edges import CERTAIN, LIKELY, Cause, Edge
from harness.history.waiting.join_waits import JoinWaits
from harness.history.waiting.paths import Paths
from harness.history.waiting.ranks import RankFacts
from harness.history.waiting.sentence import Waits
from harness.history.waiting.store_waits import KeyWaits
from harness.history.waiting.stuck import Stuck, named, stuck_calls
from harness.scenario.scenario import Scenario
from harness.values.history import History
from harness.values.plan import JOIN

MOST_EXPLAINED = 64
"""So many calls are explained; in a larger world the first ones say it all."""


def who_waits(scenario: Scenario, history: History) -> Waits:
    """The edges of every join and store call that hung, timed out or was never seen to end, and the run's sentence.

    A cause is named only if the history shows it. Where nothing went wrong there is no edge. The judgement and several
    reports ask for it, so it is found once for a history.
    """
    return history.once("who waits", scenario, lambda: _find(scenario, history))


def _find(scenario: Scenario, history: History) -> Waits:
    stuck = list(stuck_calls(scenario, history))
    if not stuck:
        return Waits()
    world = _World.of(scenario, history)
    explained = stuck[:MOST_EXPLAINED]
    edges = tuple(Edge(one.call, cause, named(one.call)) for one in explained for cause in world.causes(one))
    return Waits(edges, len(stuck) - len(explained))


@dataclass(frozen=True)
class _World:
    """All that is asked of one history."""

    joins: JoinWaits
    keys: KeyWaits
    paths: Paths

    @classmethod
    def of(cls, scenario: Scenario, history: History) -> _World:
        ranks = RankFacts(scenario, history)
        paths = Paths(scenario, history, ranks)
        return cls(JoinWaits(scenario, history, ranks, paths), KeyWaits(scenario, history, ranks, paths), paths)

    def causes(self, stuck: Stuck) -> list[Cause]:
        """What a call waited for; a call that outlasted its timeout is explained first by what it could not reach."""
        if stuck.call.f == JOIN:
            awaited, path = _surest(self.joins.lacked(stuck)), _surest(self.joins.obstacles(stuck))
        else:
            awaited = _surest(self.keys.causes(stuck)) if stuck.call.f in AWAITING else []
            master = self.joins.master_of(run_id_of(stuck.call))
            path = _surest(self.paths.causes(stuck, stuck.call.rank, master))
        if stuck.overran and path:
            return [*path, *(cause for cause in awaited if cause.sure == CERTAIN)]
        return _surest([*awaited, *path])


def _surest(causes: Iterable[Cause]) -> list[Cause]:
    """All that is certain; else the first that is likely; else the first. What is said twice is said once, of all."""
    found: dict[str, Cause] = {}
    for cause in causes:
        same = found.get(cause.phrase, cause)
        found[cause.phrase] = replace(cause, by=tuple(sorted({*same.by, *cause.by})))
    certain = [cause for cause in found.values() if cause.sure == CERTAIN]
    return certain or [cause for cause in found.values() if cause.sure == LIKELY][:1] or list(found.values())[:1]
