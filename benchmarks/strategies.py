"""Ways to choose what is played next, to compare exploration with: each gives its drafts through the same explorer.

Workloads, kinds of faults and their values, how many faults there are, how they are healed, and the coda are drawn in
the same way for all. What differs is which kinds of faults come together, when they come, and what is learned.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from hashlib import sha256
from itertools import pairwise
from pathlib import Path
from typing import Any, TypeVar

from harness.explore.coda import can_end_with_coda
from harness.explore.documents import copied, faults_of, kind_of, masters_of, present_of
from harness.explore.draft import CANARY, LANES, UNIFORM, Draft, Profile
from harness.explore.draws import Draws
from harness.explore.generate import dressed, fits, timed
from harness.explore.injecting import Placing, cell_of, with_fault_at
from harness.explore.moments import AT_TIME, LATER_NS, Where, at_time
from harness.explore.parts import Parts
from harness.explore.profile import role_of
from harness.explore.ranges import MS, faults_for, written_ns
from harness.explore.workloads import FAMILIES
from harness.faults.base import FAULTS
from harness.scenario.scenario import Scenario
from harness.values.history import History

UNIFORM_TIMES, SWARM_TIMES, TICKS_LEARNED, OURS = STRATEGIES = ("uniform", "swarm", "q-learning", "ours")

Thing = TypeVar("Thing")
Action = tuple[str, str]
"""A kind of fault, and whether it hits `master` or `worker`; both are empty if nothing is done."""
State = tuple[str, ...]
"""What was seen in a tick."""

NOTHING: Action = ("", "")


def with_strategy(name: str, parts: Parts) -> tuple[Parts, Sequence[str]]:
    """The parts with a strategy's way to choose, and the lanes it uses; raises KeyError for an unknown name."""
    if name == OURS:
        return parts, tuple(lane for lane in LANES if lane != CANARY)
    if name == TICKS_LEARNED:
        ticks = Ticks(parts.features)
        return replace(parts, uniform=ticks.draft, features=ticks.features), (UNIFORM,)
    drawn: Mapping[str, Callable[[int, Draft, Profile], Draft]] = {
        UNIFORM_TIMES: lambda seed, draft, profile: timed(Even(seed), draft, profile),
        SWARM_TIMES: lambda seed, draft, profile: timed(Draws(seed), draft, profile),
    }
    return replace(parts, uniform=drawn[name]), (UNIFORM,)


class Even(Draws):
    """Draws with all kinds of faults on, each as likely as another: as Jepsen chooses, where VOPR draws a mix."""

    def swarm(self, things: Sequence[Thing]) -> dict[Thing, float]:
        return dict.fromkeys(things, 1.0)


# -- as Mallory --------------------------------------------------------------------------------------------------------

TICKS = 4
"""In a play: as many as a draft may have faults."""
ALPHA, GAMMA, SEEN_BEFORE = 0.1, 0.6, -1.0
"""The rate of learning, the weight of what follows, and the reward of a state that was seen before, as in Mallory
(`qlearning/agent.rs` and `Mallory.toml` of dsfuzz/mallory, CCS 2023); a new state is worth 0."""
SKETCH = 4
"""So many of the smallest hashes of a tick's pairs of events are its state, so that nearly equal ticks are equal."""


class Ticks:
    """One action in each tick, chosen by Q-learning over the states of ticks: softmax of the values.

    A scenario is written before it is played. So the state in which a tick will begin is taken to be the one that the
    same state and action have led to last; one that is not known yet has no values. What is learned comes from the
    states as they were.

    Args:
        features: those of the other strategies; a play is learned from when they are asked for.

    Attributes:
        values: of each state, what its actions are worth.
    """

    def __init__(self, features: Callable[[Scenario, History], frozenset[str]]) -> None:
        self._features = features
        self.values: dict[State, dict[Action, float]] = {}
        self._next: dict[tuple[State, Action], State] = {}
        self._seen: set[State] = set()
        self._plans: dict[str, tuple[int, tuple[Action, ...]]] = {}

    def draft(self, seed: int, draft: Draft, profile: Profile) -> Draft:
        """The workload with what was chosen for each tick; a fault lasts for its tick."""
        draws = Draws(seed)
        if FAMILIES[draft.workload].only_benign:
            return timed(Even(seed), draft, profile)
        tick_ns = (profile.lasted_ns + LATER_NS) // TICKS // MS * MS
        actions = actions_for(draft.document)
        state: State = ()
        plan: list[Action] = []
        made = replace(draft, document=copied(draft.document), lane=UNIFORM, seed=seed, cells=())
        for tick in range(TICKS):
            action = self._chosen(draws, state, actions)
            injected = _injected(draws, made, profile, action, tick, tick_ns)
            # A fault that does not load with the others is left out.
            action = NOTHING if injected is None else action
            made = made if injected is None else injected
            plan.append(action)
            state = self._next.get((state, action), ("not known", *state, *action))
        finished = replace(made, document=dressed(made.document, made.workload, profile))
        found = finished if fits(finished) else timed(Even(seed), draft, profile)
        if found is finished:
            self._plans[found.id] = tick_ns, tuple(plan)
        return found

    def features(self, scenario: Scenario, history: History) -> frozenset[str]:
        """The features, after the play of a plan was learned from."""
        planned = self._plans.pop(Path(scenario.path).name.partition(".")[0], None)
        if planned is not None:
            self._learn(planned[1], states(scenario, history, planned[0]))
        return self._features(scenario, history)

    def _chosen(self, draws: Draws, state: State, actions: Sequence[Action]) -> Action:
        values = self.values.get(state, {})
        return draws.weighted({action: math.exp(values.get(action, 0.0)) for action in actions})

    def _learn(self, plan: Sequence[Action], seen: Sequence[State]) -> None:
        before: State = ()
        for action, after in zip(plan, seen, strict=True):
            reward = SEEN_BEFORE if after in self._seen else 0.0
            best = max(self.values.get(after, {}).values(), default=0.0)
            values = self.values.setdefault(before, {})
            old = values.get(action, 0.0)
            values[action] = old + ALPHA * (reward + GAMMA * best - old)
            self._next[before, action] = after
            self._seen.add(after)
            before = after


def actions_for(document: Mapping[str, Any]) -> list[Action]:
    """Nothing, and each kind of fault for each role that it can hit."""
    masters = masters_of(document)
    workers = [rank for rank in present_of(document) if rank not in masters]
    found = [NOTHING]
    for kind, member in faults_for(kind_of(document)).items():
        if member.layer != "link":
            found.append((kind, "master"))
        if member.layer != "port" and workers:
            found.append((kind, "worker"))
    return found


def _injected(draws: Draws, made: Draft, profile: Profile, action: Action, tick: int, tick_ns: int) -> Draft | None:
    """The draft with the fault of one tick; unchanged if nothing is to be done, None if it does not load."""
    kind, role = action
    if not kind:
        return made
    masters = masters_of(made.document)
    able = [rank for rank in present_of(made.document) if (rank in masters) == (role == "master")]
    ranks = () if FAULTS[kind].layer == "port" else (draws.choice(able or [0]),)
    where = Where(f"{tick * tick_ns // MS}ms", AT_TIME)
    placing = Placing(at_time, 0, can_end_with_coda(made.document, made.workload))
    document, cell = with_fault_at(draws, made.document, profile, kind, where, placing, ranks)
    *others, fault = faults_of(document)
    fault = {key: value for key, value in fault.items() if key != "until"} | {"for": written_ns(tick_ns)}
    document["faults"] = [*others, fault]
    found = replace(made, document=document, cells=(*made.cells, cell_of(fault, where, document) or cell))
    return found if fits(found) else None


def states(scenario: Scenario, history: History, tick_ns: int) -> list[State]:
    """The state of each tick of a play."""
    pairs: list[set[str]] = [set() for _ in range(TICKS)]
    for one, other in _followers(scenario, history):
        tick = min(TICKS - 1, max(0, (other[0] - history.start_ns) // tick_ns))
        pairs[tick].add(f"{one[1]} > {other[1]}")
    return [tuple(sorted(sha256(pair.encode()).hexdigest()[:8] for pair in some)[:SKETCH]) for some in pairs]


Event = tuple[int, str]
"""When, and what."""


def _followers(scenario: Scenario, history: History) -> Iterator[tuple[Event, Event]]:
    """Each event of a rank with the one before it: its calls, and the messages on its link."""
    of_rank: dict[int, list[Event]] = {}
    for call in history.calls:
        events = of_rank.setdefault(call.rank, [])
        role = role_of(scenario, call.rank)
        if call.begun_ns is not None:
            events.append((call.begun_ns, f"{role} {call.f} begun"))
        if call.ended_ns is not None:
            events.append((call.ended_ns, f"{role} {call.f} {call.outcome}"))
    for message in history.wire.messages if history.wire is not None else ():
        events = of_rank.setdefault(message.rank, [])
        events.append((message.time_ns, f"{role_of(scenario, message.rank)} {message.side} {message.kind}"))
    for events in of_rank.values():
        yield from pairwise(sorted(events))
