"""Which draft is explored next: the lanes with their shares, and the workloads that drafts are made from."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass

from harness.explore.draft import CLEAN, MUTATION, SYSTEMATIC, UNIFORM, Draft, Profile
from harness.explore.observation import Observation
from harness.explore.parts import Draw, Parts
from harness.judge.result import Result
from harness.values.verdict import ERROR, SKIPPED

SHARES: Mapping[str, float] = {SYSTEMATIC: 0.2, MUTATION: 0.4, UNIFORM: 0.3, CLEAN: 0.1}
"""Of the drafts that are explored; those of lanes that are not used go to the others in proportion."""

FEW_WORKLOADS = 6
"""While there are fewer, new ones are played first: all lanes need them."""
NEW_WORKLOAD = 0.1
"""How probable a new one is when there are enough."""
MOST_WORKLOADS = 64
"""The oldest goes when there are more; its fault and anchor pairs that were not played yet go with it."""
MOST_ORIGINS = 20_000
"""For so many entries of the corpus it is known which workload they came from; of others it is found again."""
CANDIDATES = 4
"""So many drafts are made for one that is played, of which the most promising is."""
TRIES = 8
"""So often a lane tries to make a draft before another lane takes its turn."""


@dataclass
class _Workload:
    """A workload that was played without faults.

    Attributes:
        ahead: the next systematic draft, if it was made and not given.
    """

    clean: Draft
    profile: Profile
    systematic: Iterator[Draft]
    ahead: Draft | None = None

    def look_ahead(self) -> Draft | None:
        """The next systematic draft; None when all were given."""
        if self.ahead is None:
            self.ahead = next(self.systematic, None)
        return self.ahead


class Lanes:
    """Gives drafts; a new workload is played without faults first.

    Args:
        lanes: those that are used.
        draw: for choices between lanes, workloads and entries.
        seed: gives the seeds from which drafts are made.
    """

    def __init__(self, parts: Parts, lanes: Collection[str], draw: Draw, seed: Callable[[], int]) -> None:
        self._parts, self._draw, self._seed = parts, draw, seed
        self._shares = {lane: share for lane, share in SHARES.items() if lane in lanes}
        self._workloads: dict[str, _Workload] = {}
        self._asked: set[str] = set()
        self._refused: set[str] = set()
        self._origins: dict[str, str] = {}
        self._given: dict[str, str] = {}
        self._lanes = {
            SYSTEMATIC: self._systematic,
            MUTATION: self._mutation,
            UNIFORM: self._uniform,
            CLEAN: self._clean,
        }

    def next(self) -> Draft:
        """The next draft; it may be one that the loader refuses."""
        if len(self._workloads) + len(self._asked) < FEW_WORKLOADS or self._draw() < NEW_WORKLOAD:
            return self._new_workload()
        for lane in self._order():
            draft = self._lanes[lane]()
            if draft is not None:
                return draft
        return self._new_workload()

    def learn(self, observation: Observation, result: Result, is_entry: bool) -> None:
        """Learn of a play of one of these drafts; `is_entry`: whether the corpus has it now."""
        draft = observation.draft
        origin = self._given.pop(draft.id, None)
        if draft.lane == CLEAN:
            self._asked.discard(draft.id)
            self._learn_workload(draft, result)
        elif is_entry and origin is not None:
            if len(self._origins) >= MOST_ORIGINS:
                del self._origins[next(iter(self._origins))]
            self._origins[draft.id] = origin

    def refused(self, draft: Draft) -> None:
        """Learn that the loader has refused a draft."""
        self._asked.discard(draft.id)
        self._given.pop(draft.id, None)

    def _made(self, draft: Draft, origin: str) -> Draft:
        """A draft that is given, and the workload that it was made from."""
        self._given[draft.id] = origin
        return draft

    def _learn_workload(self, draft: Draft, result: Result) -> None:
        """Keep a workload and its profile; a red one too, because a subject may break an invariant in each run."""
        if draft.id in self._workloads:
            return
        if result.status in (ERROR, SKIPPED):
            self._refused.add(draft.id)
            return
        profile = self._parts.profile(result.scenario, result.history)
        if len(self._workloads) >= MOST_WORKLOADS:
            del self._workloads[next(iter(self._workloads))]
        self._workloads[draft.id] = _Workload(draft, profile, self._parts.systematic(draft, profile))

    # -- lanes -------------------------------------------------------------------------------------------------

    def _order(self) -> list[str]:
        """All lanes that are used: the first is drawn by the shares, the others follow in case it has nothing."""
        mark = self._draw() * sum(self._shares.values())
        for lane, share in self._shares.items():
            mark -= share
            if mark < 0:
                return [lane, *(other for other in self._shares if other != lane)]
        return list(self._shares)

    def _new_workload(self) -> Draft:
        draft = self._parts.workload(self._seed())
        self._asked.add(draft.id)
        return draft

    def _any_workload(self) -> _Workload | None:
        workloads = list(self._workloads.values())
        return workloads[int(self._draw() * len(workloads))] if workloads else None

    def _clean(self) -> Draft | None:
        """New ones, and as often one that was played before: a clean run must be green each time."""
        workload = self._any_workload() if self._draw() < 0.5 else None
        return workload.clean if workload else self._new_workload()

    def _uniform(self) -> Draft | None:
        workload = self._any_workload()
        if workload is None:
            return None
        return self._made(self._parts.uniform(self._seed(), workload.clean, workload.profile), workload.clean.id)

    def _systematic(self) -> Draft | None:
        """The most promising of what some workloads have next; those whose budgets are used up are passed over."""
        for _ in range(TRIES):
            some = {id(one): one for one in (self._any_workload() for _ in range(CANDIDATES)) if one is not None}
            ahead = {id(draft): one for one in some.values() if (draft := one.look_ahead()) is not None}
            if not ahead:
                return None
            drafts = [one.ahead for one in ahead.values() if one.ahead is not None]
            chosen = self._parts.knowledge.choose(drafts, self._draw)
            for one in ahead.values() if chosen is None else (ahead[id(chosen)],):
                one.ahead = None
            if chosen is not None:
                return self._made(chosen, ahead[id(chosen)].clean.id)
        return None

    def _mutation(self) -> Draft | None:
        """The most promising of some changes of entries; or the workload of an entry, if it has no profile yet."""
        made: list[tuple[Draft, str]] = []
        for _ in range(TRIES):
            entry = self._parts.knowledge.entry(self._draw)
            if entry is None:
                return None
            workload = self._workload_of(entry)
            if isinstance(workload, Draft):
                return workload
            if workload is not None:
                other = self._parts.knowledge.entry(self._draw) or entry
                mutant = self._parts.mutated(self._seed(), entry, workload.profile, other)
                if mutant is not None:
                    made.append((mutant, workload.clean.id))
            if len(made) == CANDIDATES:
                break
        chosen = self._parts.knowledge.choose([mutant for mutant, _ in made], self._draw) if made else None
        return next((self._made(mutant, origin) for mutant, origin in made if mutant is chosen), None)

    def _workload_of(self, entry: Draft) -> _Workload | Draft | None:
        """The workload of an entry; its draft if it must be played first; None if it cannot be."""
        origin = self._workloads.get(self._origins.get(entry.id, entry.id))
        if origin is not None:
            return origin
        clean = self._parts.clean(entry)
        if clean is None:
            return None
        self._origins[entry.id] = clean.id
        if clean.id in self._workloads:
            return self._workloads[clean.id]
        if clean.id in self._asked or clean.id in self._refused:
            return None
        self._asked.add(clean.id)
        return clean
