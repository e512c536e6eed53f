"""The strategies that benchmarks/explore.py compares: their drafts can be played, and the figures are right."""

from __future__ import annotations

import importlib.util
import re
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import pytest
from fake_parts import play
from sessions import MakeSession

from harness.campaign.source import Trial
from harness.explore.draft import UNIFORM, Draft, Profile
from harness.explore.draws import Draws
from harness.explore.parts import Parts
from harness.explore.wiring import parts
from harness.explore.workloads import workload
from harness.judge.result import Result

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "benchmarks"))

from strategies import (
    ALPHA,
    OURS,
    STRATEGIES,
    SWARM_TIMES,
    TICKS,
    TICKS_LEARNED,
    UNIFORM_TIMES,
    Even,
    Ticks,
    with_strategy,
)


def _benchmark() -> ModuleType:
    """By its path: the folder of these tests has the name of the module."""
    path = Path(__file__).resolve().parents[2] / "benchmarks/explore.py"
    spec = importlib.util.spec_from_file_location("explore_benchmark", path)
    assert spec is not None
    assert spec.loader is not None
    module = sys.modules[spec.name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


explore = _benchmark()

LASTED_NS = 500_000_000


def _drafts(made: Parts, count: int = 10) -> list[Draft]:
    """What a strategy makes of some workloads."""
    profile = Profile(lasted_ns=LASTED_NS)
    return [made.uniform(seed, workload(Draws(seed)), profile) for seed in range(count)]


@pytest.mark.parametrize("name", STRATEGIES)
def test_a_strategy_gives_drafts_that_can_be_played(name: str, session: MakeSession, tmp_path: Path) -> None:
    """The loader refuses none, and after the first workloads most have faults."""
    with parts(tmp_path / "corpus", tmp_path / "findings", "static", "") as real:
        chosen, lanes = with_strategy(name, replace(real, explained=lambda *_: "any"))
        made = session()
        tally = made.play(chosen, runs=14, lanes=lanes)
    assert (tally.refused, tally.runs, tally.investigated) == (0, 14, 0)
    assert sum(bool(result.scenario.faults) for result in made.results) > 4


@pytest.mark.parametrize("name", [UNIFORM_TIMES, SWARM_TIMES, TICKS_LEARNED])
def test_only_ours_ties_faults_to_events(name: str, tmp_path: Path) -> None:
    """The others inject at times after the start of the play."""
    with parts(tmp_path / "corpus", tmp_path / "findings", "static", "") as real:
        drafts = _drafts(with_strategy(name, real)[0])
    moments = [fault.get("after", "0ms") for draft in drafts for fault in draft.document.get("faults", ())]
    assert len(moments) > 5
    assert all(re.fullmatch(r"\d+(us|ms|s)", moment) for moment in moments)
    assert all(draft.lane == UNIFORM for draft in drafts)


def test_uniform_has_all_kinds_on_and_swarm_a_part_of_them(tmp_path: Path) -> None:
    """What the two are told apart by; all else is drawn in the same way."""
    kinds = [f"kind-{number}" for number in range(20)]
    assert all(Even(seed).swarm(kinds) == dict.fromkeys(kinds, 1.0) for seed in range(5))
    assert len({len(Draws(seed).swarm(kinds)) for seed in range(5)}) > 1
    with parts(tmp_path / "corpus", tmp_path / "findings", "static", "") as real:
        uniform, swarm = (_drafts(with_strategy(name, real)[0], 5) for name in (UNIFORM_TIMES, SWARM_TIMES))
    assert [draft.text for draft in uniform] != [draft.text for draft in swarm]


def test_ticks_have_one_action_each() -> None:
    """Each fault begins with a tick of its own, and is healed at its end."""
    ticks = Ticks(lambda scenario, history: frozenset())
    tick_ms = 250
    for seed in range(6):
        plain = workload(Draws(seed))
        draft = ticks.draft(seed, plain, Profile(lasted_ns=LASTED_NS))
        if plain.workload == "torchrun":
            continue
        faults = draft.document.get("faults", ())
        begins = [fault.get("after", "0ms") for fault in faults]
        assert {*begins} <= {f"{tick * tick_ms}ms" for tick in range(TICKS)}
        assert len({*begins}) == len(begins)
        assert {fault["for"] for fault in faults} <= {f"{tick_ms}ms"}


def test_ticks_learn_to_leave_what_shows_nothing_new() -> None:
    """What leads to a state that was seen before is worth less each time, so it is chosen less often."""
    ticks = Ticks(lambda scenario, history: frozenset({"feature"}))
    plain = next(draft for draft in map(workload, map(Draws, range(20))) if draft.workload == "traffic")
    for seed in range(20):
        draft = ticks.draft(seed, plain, Profile(lasted_ns=LASTED_NS))
        assert ticks.features(draft.scenario, play(plain.scenario)) == {"feature"}
    worths = [value for values in ticks.values.values() for value in values.values()]
    assert min(worths) <= -ALPHA
    assert max(worths) <= 0
    # What is asked for again, as when a play is looked at twice, teaches nothing.
    before = {state: dict(values) for state, values in ticks.values.items()}
    ticks.features(draft.scenario, play(plain.scenario))
    assert ticks.values == before


# -- turns -------------------------------------------------------------------------------------------------------------


class Endless:
    """Gives one trial at a time, and remembers what it has learned."""

    def __init__(self, trial: Trial) -> None:
        self.learned: list[Result] = []
        self._trial = trial

    def next(self, results: Sequence[Result]) -> Sequence[Trial]:
        self.learned += results
        return [self._trial]


def test_a_slice_ends_when_all_it_gave_has_come_back() -> None:
    """What comes after its time is kept for the next slice, so that nothing is lost and nothing is learned twice."""
    trial, now = Trial(workload(Draws(1)).scenario), [0]
    one, two, three = (object() for _ in range(3))
    source = Endless(trial)
    first = explore.Slice(source, [], lambda: now[0] < 2)
    assert (first.next([]), first.next([]), first.next([one])) == ([trial], [trial], [trial])  # type: ignore[list-item]
    now[0] = 2
    assert first.next([two]) == ()  # type: ignore[list-item]
    assert first.next([three]) is None  # type: ignore[list-item]
    assert (source.learned, first.left) == ([one], [two, three])
    now[0] = 0
    assert explore.Slice(source, first.left, lambda: True).next([]) == [trial]
    assert source.learned == [one, two, three]


# -- figures -----------------------------------------------------------------------------------------------------------


def test_the_area_is_the_mean_number_of_known_causes() -> None:
    """A cause counts from when it was seen first; one that was seen after the end counts nothing."""
    assert explore.area({}, 60) == 0
    assert explore.area({"F01": 0, "F02": 30, "late": 70}, 60) == 1.5


def test_ratios_are_of_equal_seeds() -> None:
    """The median over the seeds that both have; subjects of one seed are added."""
    rows = [explore.Row(OURS, "static", seed, 60, 9, {"F01": 0, "a|b": 0}) for seed in (1, 2, 3)]
    rows += [
        explore.Row(UNIFORM_TIMES, "static", seed, 60, 5, {"F01": late}) for seed, late in ((1, 30), (2, 45), (3, 0))
    ]
    rows += [explore.Row(UNIFORM_TIMES, "mutant", 1, 60, 5, {"mutant": 30})]
    assert explore.areas(rows, UNIFORM_TIMES, 60) == {1: 1.0, 2: 0.25, 3: 1.0}
    assert explore.areas(rows, OURS, 60, known=True) == {1: 1.0, 2: 1.0, 3: 1.0}
    assert explore.ratio(explore.areas(rows, OURS, 60), explore.areas(rows, UNIFORM_TIMES, 60)) == 2.0
    assert explore.ratio(explore.areas(rows, OURS, 60), explore.areas(rows, TICKS_LEARNED, 60)) is None
    (ours,) = [line for line in explore.table(rows, 60).splitlines() if line.startswith(f"| {OURS} ")]
    assert ours == "| ours | 9 | 2 | 2.00 | 2.00 |  | 1.00 | 1.00 |  |"
