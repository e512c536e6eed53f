"""The other parts of exploration as small fakes: drafts that load, plays without processes, a shrinker by deletion."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from pasts import Past

from harness.explore.draft import CLEAN, MUTATION, SYSTEMATIC, UNIFORM, Draft, Profile
from harness.explore.finding import StoredFinding, Tried
from harness.explore.observation import Observation, Signature
from harness.explore.parts import CONFIRMED, Find, Outcome, Parts
from harness.scenario.scenario import Scenario
from harness.values.history import History
from harness.values.verdict import FAILED, Judgement

FAULTS: Sequence[Mapping[str, Any]] = (
    {"inject": "latency", "ranks": 1, "stream": "downstream", "latency": "10ms"},
    {"inject": "down", "ranks": 1},
    {"inject": "slicer", "ranks": 1, "stream": "downstream", "average_size": "5B"},
)


def document(title: str, faults: Sequence[Mapping[str, Any]] = ()) -> dict[str, Any]:
    """Two ranks join, and one sets a key."""
    return {
        "schema": "rdzv-scenario/v1",
        "title": title,
        "world": {"size": 2, "timeout": "1s"},
        "workload": [
            {"id": "join", "do": "rendezvous"},
            {"id": "tell", "do": "set", "ranks": 0, "key": "a", "value": "1"},
        ],
        **({"faults": [dict(fault) for fault in faults]} if faults else {}),
        "expect": [{"id": "joins", "step": "join", "is": "ok"}],
    }


@cache
def workload(number: int) -> Draft:
    """A clean draft; the same one for the same number, because to load one takes longer than to play it here."""
    return Draft(document(f"Workload {number}"), CLEAN, number, "plain")


def with_fault(draft: Draft, lane: str, number: int, seed: int = 0) -> Draft:
    """A change of a draft: it has this fault; the same one for the same arguments."""
    return _with_fault(draft.document["title"], draft.id, lane, number, seed)


@cache
def _with_fault(of: str, parent: str, lane: str, number: int, seed: int) -> Draft:
    title = f"{of} and {lane} {seed}"
    return Draft(document(title, [FAULTS[number % len(FAULTS)]]), lane, seed, "plain", parent)


def clean(draft: Draft) -> Draft:
    """Without its faults."""
    return Draft({key: value for key, value in draft.document.items() if key != "faults"}, CLEAN, draft.seed)


def play(scenario: Scenario) -> History:
    """Every call is `ok`, but joins where a link is down, and a get of a key that nobody sets; a slicer is idle."""
    past = Past(scenario.world.size, "echo")
    joins = any(step.do == "rendezvous" for step in scenario.steps)
    values = {step.arguments["key"]: step.arguments["value"] for step in scenario.steps if step.do == "set" and joins}
    is_down = any(fault.kind == "down" for fault in scenario.faults)
    for number, step in enumerate(scenario.steps):
        begin, end = 0.001 + number / 100, 0.005 + number / 100
        for rank in step.ranks:
            key = step.arguments.get("key")
            if step.do == "rendezvous":
                past.join(rank, begin, end, "failed" if is_down else "ok", step=step.name)
            elif step.do == "get":
                past.call(
                    rank, step.name, begin, end, "ok" if key in values else "failed", f="get", value=values.get(key)
                )
            else:
                past.call(rank, step.name, begin, end, f=step.do)
    for fault in scenario.faults:
        past.fault(fault.name, 0.0005, 1, kind=fault.kind, ranks=fault.ranks, touched=fault.kind != "slicer")
    return past.whole()


def signatures(
    scenario: Scenario, history: History, judgement: Judgement, run_dir: Path | None
) -> frozenset[Signature]:
    """By the broken claim and what happened, without its numbers."""
    broken = [verdict for verdict in judgement.verdicts if verdict.status == FAILED]
    return frozenset(Signature(one.name, message=re.sub(r"[0-9.]+ ?m?s?", "#", one.happened)) for one in broken)


def features(scenario: Scenario, history: History) -> frozenset[str]:
    """The kinds of its faults."""
    return frozenset({"clean", *(f"fault {fault.kind}" for fault in scenario.faults)})


class FakeKnowledge:
    """Remembers features, and the drafts that showed a new one."""

    def __init__(self) -> None:
        self.seen: list[Observation] = []
        self.known: set[str] = set()
        self.entries: list[Draft] = []
        self.used_up: set[str] = set()
        self.replays: list[Sequence[frozenset[str]]] = []
        self.chance_of_new: float | None = None

    @property
    def runs(self) -> int:
        return len(self.seen)

    @property
    def features(self) -> int:
        return len(self.known)

    def add(self, observation: Observation) -> frozenset[str]:
        self.seen.append(observation)
        new = observation.features - self.known
        self.known |= new
        if new:
            self.entries.append(observation.draft)
        return frozenset(new)

    def learn_replays(self, replays: Sequence[frozenset[str]]) -> None:
        self.replays.append(replays)

    def entry(self, draw: Callable[[], float]) -> Draft | None:
        return self.entries[int(draw() * len(self.entries))] if self.entries else None

    def choose(self, drafts: Sequence[Draft], draw: Callable[[], float]) -> Draft | None:
        return next((draft for draft in drafts if draft.lane not in self.used_up), None)

    @property
    def lanes(self) -> Counter[str]:
        return Counter(observation.draft.lane for observation in self.seen)


class FakeLibrary:
    """Finds in memory."""

    def __init__(self) -> None:
        self.finds: list[Find] = []
        self.again: list[str] = []
        self.left: list[tuple[Observation, Signature]] = []
        self.comparisons: dict[str, tuple[tuple[Tried, ...], Tried | None]] = {}
        self.done: dict[str, bool] = {}
        self.to_compare: list[tuple[StoredFinding, Draft]] = []

    def cause_of(self, signature: Signature) -> str | None:
        found = [find.cause for find in self.finds if find.signature == signature and find.status == CONFIRMED]
        return found[0] if found else None

    def has(self, cause: str) -> bool:
        return any(find.cause == cause for find in self.finds)

    def unfinished(self) -> Sequence[tuple[Observation, Signature]]:
        return self.left

    def add(self, find: Find) -> Path:
        self.finds.append(find)
        return Path(f"findings/{find.cause}/minimal.rdzv.yaml")

    def seen(self, cause: str) -> None:
        self.again.append(cause)

    def uncompared(self) -> Sequence[tuple[StoredFinding, Draft]]:
        return self.to_compare

    def compared(self, cause: str, tried: Sequence[Tried], without_faults: Tried | None, done: bool) -> None:
        self.comparisons[cause] = (tuple(tried), without_faults)
        self.done[cause] = done


class FakeInvestigation:
    """Plays a find three times, and then deletes what it can: faults, steps, ranks."""

    doing = "shrinking"

    def __init__(self, draft: Draft, signature: Signature) -> None:
        self.signature, self.best = signature, draft
        self.plays = self.hits = 0
        self.found_out = Outcome()
        self.others: list[tuple[Observation, Signature]] = []
        self.is_done = False
        self._candidates: Iterator[Draft] | None = None
        self._asked: Draft | None = None

    def next(self) -> Sequence[Draft]:
        if self._asked is not None or self.is_done:
            return ()
        if self._candidates is None:
            self._asked = self.best
            return [self.best] * 3
        self._asked = next(self._candidates, None)
        if self._asked is None:
            self.is_done = True
            return ()
        return [self._asked]

    def add(self, observation: Observation) -> None:
        shows = self.signature in observation.signatures
        if self._candidates is not None:
            self._asked = None
            if shows:
                self.best = observation.draft
                self.found_out = Outcome(self.hits, self.plays, self.best)
                self._candidates = smaller(self.best)
            return
        self.plays, self.hits = self.plays + 1, self.hits + shows
        if self.plays == 3:
            self._asked = None
            self.is_done = self.hits < 2
            self.found_out = Outcome(self.hits, self.plays, None if self.is_done else self.best)
            self._candidates = smaller(self.best)


def smaller(draft: Draft) -> Iterator[Draft]:
    """Without its faults, or without one step, or with a rank less."""
    whole = dict(draft.document)
    if whole.get("faults"):
        yield Draft({key: value for key, value in whole.items() if key != "faults"}, draft.lane, draft.seed)
    for step in whole["workload"]:
        yield Draft(
            {**whole, "workload": [one for one in whole["workload"] if one is not step]}, draft.lane, draft.seed
        )
    if whole["world"]["size"] > 2:
        world = {**whole["world"], "size": whole["world"]["size"] - 1}
        yield Draft({**whole, "world": world}, draft.lane, draft.seed)


def fake_parts(**others: Any) -> Parts:
    """All fakes, with others in place of some."""
    parts: dict[str, Any] = {
        "workload": lambda seed: workload(seed % 6),
        "systematic": lambda draft, profile: (with_fault(draft, SYSTEMATIC, number) for number in range(len(FAULTS))),
        "uniform": lambda seed, draft, profile: with_fault(draft, UNIFORM, seed % 3),
        "mutated": lambda seed, draft, profile, other: with_fault(draft, MUTATION, seed % 3),
        "clean": clean,
        "profile": lambda scenario, history: Profile(lasted_ns=1),
        "features": features,
        "signatures": signatures,
        "principal": lambda found: min(found, default=None),
        "cause_key": lambda signature, whole: f"{signature.check}-{len(whole.get('faults') or ())}",
        "explained": lambda signature, subject, torch, whole: None,
        "investigation": FakeInvestigation,
        "knowledge": FakeKnowledge(),
        "library": FakeLibrary(),
    }
    return Parts(**{**parts, **others})
