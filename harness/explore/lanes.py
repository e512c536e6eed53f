"""Which draft is explored next: the lanes with their shares, and the workloads that drafts are made from."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass

from harness.explore.draft import CLEAN, MUTATION, SYSTEMATIC, UNIFORM, Draft, Profile
from harness.explore.observation import Observation
from harness.explore.parts import Draw, Parts
from harness.judge.result import Result
from harness.values.errors import ScenarioError
from harness.values.verdict import ERROR, SKIPPED

SHARES: Mapping[str, float] = {SYSTEMATIC: 0.2, MUTATION: 0.4, UNIFORM: 0.3, CLEAN: 0.1}
"""Of the drafts that are explored; those of lanes that are not used go to the others in proportion."""

FEW_WORKLOADS = 4
"""While there are fewer, new ones are played first: all lanes need them."""
NEW_WORKLOAD = 0.04
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
        if draft.lane == CLEAN:
            self._asked.discard(draft.id)
            self._learn_workload(draft, result)
        elif is_entry and draft.parent:
            if len(self._origins) >= MOST_ORIGINS:
                del self._origins[next(iter(self._origins))]
            self._origins[draft.id] = self._origins.get(draft.parent, draft.parent)

    def refused(self, draft: Draft) -> None:
        """Learn that the loader has refused a draft."""
        self._asked.discard(draft.id)

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
        return self._parts.uniform(self._seed(), workload.clean, workload.profile) if workload else None

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
                return chosen
        return None

    def _mutation(self) -> Draft | None:
        """The most promising of some changes of entries; or the workload of an entry, if it has no profile yet."""
        made: list[Draft] = []
        for _ in range(TRIES):
            entry = self._parts.knowledge.entry(self._draw)
            if entry is None:
                return None
            profile = self._profile_of(entry)
            if isinstance(profile, Draft):
                return profile
            if profile is not None:
                other = self._parts.knowledge.entry(self._draw)
                mutant = self._parts.mutated(self._seed(), entry, profile, other)
                made += [mutant] if mutant is not None else []
            if len(made) == CANDIDATES:
                break
        return self._parts.knowledge.choose(made, self._draw) if made else None

    def _profile_of(self, entry: Draft) -> Profile | Draft | None:
        """The profile of an entry's workload, or that workload if it must be played first; None if it cannot be."""
        origin = self._workloads.get(self._origins.get(entry.id, entry.id))
        if origin is not None:
            return origin.profile
        clean = without_any_fault(entry)
        if clean is None:
            return None
        self._origins[entry.id] = clean.id
        if clean.id in self._workloads:
            return self._workloads[clean.id].profile
        if clean.id in self._asked or clean.id in self._refused:
            return None
        self._asked.add(clean.id)
        return clean


def without_any_fault(draft: Draft) -> Draft | None:
    """The clean draft below one with faults; None if there is none, because a step waits for one of its faults."""
    document = {key: value for key, value in draft.document.items() if key != "faults"}
    clean = Draft(document, CLEAN, draft.seed, draft.workload)
    try:
        return clean if clean.scenario else None
    except ScenarioError:
        return None
