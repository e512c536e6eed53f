"""Drafts: whatever the seed, they are scenario files that load, within their limits."""

from __future__ import annotations

from dataclasses import replace
from itertools import islice

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as any_of
from made_profiles import profile_of

from harness.checkers.no_leak import FEWEST
from harness.explore.benign import is_benign
from harness.explore.coda import CODA, CODA_STEPS, without_coda
from harness.explore.documents import Entry, faults_of, masters_of, name_of, ranks_in, size_of, steps_of
from harness.explore.draft import CLEAN, MUTATION, SYSTEMATIC, UNIFORM, Draft, Profile
from harness.explore.draws import Draws
from harness.explore.generate import systematic, timed, uniform
from harness.explore.injecting import MOST_FAULTS, Placing, kinds_for, with_fault_at
from harness.explore.moments import AT_START, at_anchor, where_of
from harness.explore.mutate import mutated
from harness.explore.traffic import NOBODY_SETS
from harness.explore.workloads import FAMILIES, MOST_STEPS, workload
from harness.faults.base import FAULTS
from harness.rank.steps.rendezvous import CYCLE
from harness.scenario.moment import FaultMoment

SEEDS = any_of.integers(0, 2**48)
FEW = settings(max_examples=6, deadline=None, phases=(Phase.explicit, Phase.generate))
"""On a push: an example takes some 50 ms, most of it in the loader. The night draws hundreds."""


def drawn(seed: int) -> tuple[Draft, Profile, Draft]:
    """A workload, its profile, and a draft with faults."""
    clean = workload(Draws(seed))
    profile = profile_of(clean)
    return clean, profile, uniform(Draws(seed + 1), clean, profile)


def require_sound(draft: Draft) -> None:
    """It loads, and keeps the limits of a draft; each fault has a cell, and hits what it can hit."""
    scenario = draft.scenario
    assert len(scenario.steps) <= MOST_STEPS
    assert 2 <= scenario.world.size <= 4
    assert 1 <= len(scenario.faults) <= MOST_FAULTS
    assert len(draft.cells) == len(scenario.faults)
    for fault, cell in zip(scenario.faults, draft.cells, strict=True):
        kind, _, role, anchor = cell.split("|")
        assert kind == fault.kind
        assert anchor
        assert role in ("master", "worker")
        assert FAULTS[kind].layer != "link" or not masters_of(draft.document) & {*fault.ranks}


@given(SEEDS)
@FEW
def test_every_workload_loads(seed: int) -> None:
    """A workload of any seed is a scenario without faults, of 2 to 4 ranks and at most 12 steps."""
    draft = workload(Draws(seed))
    scenario = draft.scenario
    assert (draft.lane, draft.seed, scenario.faults) == (CLEAN, seed, ())
    assert 2 <= scenario.world.size <= 4
    assert len(scenario.steps) <= MOST_STEPS
    assert scenario.world.timeout_ns <= 3 * 10**9
    assert scenario.title.startswith("The invariants hold while ")


def test_every_family_is_drawn() -> None:
    """Of 600 seeds some give each family, and no family gives one draft only."""
    found: dict[str, set[str]] = {}
    for seed in range(600):
        draft = workload(Draws(seed))
        found.setdefault(draft.workload, set()).add(str(draft.document))
    assert found.keys() == FAMILIES.keys()
    assert all(len(drafts) > 1 for drafts in found.values())


@pytest.fixture(scope="module")
def workloads() -> list[list[Entry]]:
    """The steps of many workloads."""
    return [steps_of(workload(Draws(seed)).document) for seed in range(2000)]


def test_large_values_are_read(workloads: list[list[Entry]]) -> None:
    """Each value that is set for its size is read after it: nothing judges a value that nobody reads."""
    large = [verbs for steps in workloads if (verbs := [step["do"] for step in steps if step.get("key") == "large"])]
    assert large
    for verbs in large:
        assert verbs == ["set_bytes", "get"]


def test_some_waits_have_a_timeout_of_their_own(workloads: list[list[Entry]]) -> None:
    """Among them some for keys that nobody sets, beside keys that are there."""
    waits = [step for steps in workloads for step in steps if step["do"] == "wait" and "timeout" in step]
    assert [step for step in waits if NOBODY_SETS in step.get("keys", ()) and len(step["keys"]) > 1]


def test_a_second_round_looks_for_keys_of_the_first(workloads: list[list[Entry]]) -> None:
    """Some of them, right after they have joined again."""
    assert any(step["id"] == "look-back" and step["after"] == "again" for steps in workloads for step in steps)


def test_clocks_are_moved_while_a_join_waits(workloads: list[list[Entry]]) -> None:
    """By a thread of the rank that waits."""
    moves = [step for steps in workloads for step in steps if step.get("thread") == "clock"]
    assert {step["do"] for step in moves} == {"move_wall_clock"}
    assert all(step["after"]["is"] == "begun" and step["after"]["ranks"] == step["ranks"] for step in moves)


def test_cycles_are_long_enough_to_show_a_leak(workloads: list[list[Entry]]) -> None:
    """Most of them: `no_leak` judges a process that was looked at often enough."""
    calls = [step["calls"] for steps in workloads for step in steps if step["do"] == "cycle"]
    assert sum(count // len(CYCLE) > FEWEST for count in calls) > len(calls) / 2


def test_no_workload_has_too_many_steps(workloads: list[list[Entry]]) -> None:
    """Some families can draw more; a workload that has more is drawn again."""
    assert max(map(len, workloads)) <= MOST_STEPS


def test_a_seed_gives_the_same_drafts() -> None:
    """Two draws of one seed are equal to the byte; another seed differs."""
    clean, profile, first = drawn(11)
    _, _, again = drawn(11)
    other = uniform(Draws(13), clean, profile)
    assert (first.text, first.cells) == (again.text, again.cells)
    assert first.text != other.text
    assert mutated(Draws(1), first, profile, other) == mutated(Draws(1), first, profile, other)


@given(SEEDS)
@FEW
def test_every_drawn_draft_loads(seed: int) -> None:
    """With faults at anchors or at any times, the draft loads; with a coda, every fault is healed before it."""
    clean, profile, draft = drawn(seed)
    at_times = timed(Draws(seed), clean, profile)
    for one in (draft, at_times):
        require_sound(one)
        assert (one.lane, one.workload) == (UNIFORM, clean.workload)
        require_coda_is_sound(one)
    assert all("wire" not in str(fault.get("after")) for fault in faults_of(at_times.document))


def require_coda_is_sound(draft: Draft) -> None:
    """Each fault heals some time after its injection, whatever happens, and the coda waits for all; all ranks come."""
    coda = [step for step in draft.scenario.steps if step.handler == CODA]
    if not coda:
        return
    assert FAMILIES[draft.workload].has_coda
    assert "never" not in str(draft.document["world"])
    assert {step.thread for step in coda} == {CODA}
    faults = {fault.name: fault for fault in draft.scenario.faults}
    for fault in faults.values():
        assert fault.until == FaultMoment(fault.name, "injected", fault.until.plus_ns)  # type: ignore[union-attr]
    waited_for = {part["fault"] for part in _listed(_coda_join(draft)["after"]) if isinstance(part, dict)}
    assert waited_for == faults.keys()


def _coda_join(draft: Draft) -> dict[str, object]:
    return next(step for step in steps_of(draft.document) if name_of(step) == "coda-join")


def _listed(moment: object) -> list[object]:
    return moment if isinstance(moment, list) else [moment]


@given(SEEDS)
@FEW
def test_every_mutation_loads(seed: int) -> None:
    """A changed draft loads, differs, names its parent, and keeps a cell for each fault."""
    _, profile, draft = drawn(seed)
    _, _, other = drawn(seed + 7)
    found = mutated(Draws(seed), draft, profile, other)
    if found is not None:
        require_sound(found)
        require_coda_is_sound(found)
        assert (found.lane, found.parent) == (MUTATION, draft.id)
        assert found.id != draft.id


def test_drafts_can_be_mutated_again_and_again() -> None:
    """Chains of four changes, of each of 6 seeds, seldom end early: a change that loads is found nearly always."""
    made = 0
    for seed in range(6):
        _, profile, found = drawn(seed)
        _, _, other = drawn(seed + 100)
        for number in range(4):
            new = mutated(Draws(seed * 10 + number), found, profile, other)
            if new is not None:
                found, made = new, made + 1
    assert made >= 22


def test_the_systematic_lane_meets_every_fault_at_every_anchor() -> None:
    """One draft for each fault and role it can hit, at each kind of anchor and at the start; then pairs of these.

    What needs the port where nobody listens is there at the start only.
    """
    clean = next(one for seed in range(100) if (one := workload(Draws(seed))).workload == "traffic")
    whole = profile_of(clean)
    anchor = next(one for one in whole.anchors if one.kind == "query add")
    lane = systematic(clean, replace(whole, anchors=(anchor,)))
    singles: list[Draft] = []
    for pair in lane:
        if len(pair.cells) == 2:
            break
        singles.append(pair)
    for draft in (*singles[::6], pair, *islice(lane, 4)):
        require_sound(draft)
        assert draft.lane == SYSTEMATIC
    cells = [one.cells[0].split("|") for one in singles]
    roles = {kind: {role for one, _, role, _ in cells if one == kind} for kind in kinds_for(clean.document)}
    assert {kind for kind, found in roles.items() if not found} == set()
    assert roles["kill"] == {"master", "worker"}
    assert roles["blackhole"] == {"worker"}
    moments = {kind: {moment for one, _, _, moment in cells if one == kind} for kind in roles}
    assert moments["occupy_port"] == {AT_START}
    assert moments["kill"] == moments["blackhole"] == {AT_START, "query add"}
    assert len({one.cells for one in singles}) == len(singles)
    assert len(pair.cells) == 2


def test_every_fault_of_agents_only_delays() -> None:
    """Whichever lane makes the draft: an agent whose calls fail waits 300 s for the others at its end."""
    seeds = (seed for seed in range(1000) if workload(Draws(seed)).workload == "torchrun")
    found = []
    for seed in islice(seeds, 3):
        clean, profile, draft = drawn(seed)
        changed = [mutated(Draws(number), draft, profile, draft) for number in range(8)]
        found += [draft, *filter(None, changed), *islice(systematic(clean, profile), 8)]
    assert len(found) > 3
    assert all(is_benign(one.document) for one in found)


@pytest.mark.nightly
@given(SEEDS)
@settings(max_examples=500, deadline=None)
def test_hundreds_of_drafts_load(seed: int) -> None:
    """As the tests above, on more seeds: drawn drafts, drafts at times, and mutations."""
    clean, profile, draft = drawn(seed)
    _, _, other = drawn(seed + 7)
    for one in (draft, timed(Draws(seed), clean, profile), mutated(Draws(seed), draft, profile, other)):
        if one is not None:
            require_sound(one)
            require_coda_is_sound(one)


def test_a_draft_without_its_coda_is_the_workload_with_faults() -> None:
    """The coda is four steps and two claims, and comes off again without a trace."""
    _, _, draft = next(one for seed in range(20) if "coda-join" in (one := drawn(seed))[2].text)
    bare = without_coda(draft.document)
    assert len(steps_of(draft.document)) == len(steps_of(bare)) + CODA_STEPS
    assert "coda" not in str(bare)
    assert faults_of(bare) == faults_of(draft.document)


def test_restarted_ranks_are_killed_and_healed() -> None:
    """Most drafts of the family in which a rank has steps for its second life kill that rank, and start it again."""
    killed = total = 0
    for seed in range(90):
        clean = workload(Draws(seed))
        if clean.workload != "restarted":
            continue
        total += 1
        found = uniform(Draws(seed), clean, profile_of(clean))
        (victim, *_) = [step["ranks"] for step in steps_of(clean.document) if step.get("life") == 2]
        size = size_of(clean.document)
        killed += any(
            fault["inject"] == "kill" and victim in ranks_in(fault["ranks"], size)
            for fault in faults_of(found.document)
        )
    assert total >= 5
    assert killed / total > 0.5


def test_calls_that_build_on_each_other_are_read() -> None:
    """One append shows nothing of the next; so some workloads have two of one key, and a read of it behind them."""
    assert sum(has_read_of_built(workload(Draws(seed))) for seed in range(600)) >= 5


def has_read_of_built(draft: Draft) -> bool:
    built: dict[str, int] = {}
    for step in steps_of(draft.document):
        keys = [step["key"]] if "key" in step else list(step.get("keys") or ())
        if step["do"] == "append":
            ranks = ranks_in(step.get("ranks", "all"), size_of(draft.document))
            built[keys[0]] = built.get(keys[0], 0) + len(ranks) * int(step.get("times") or 1)
        elif step["do"] in ("get", "multi_get") and any(built.get(key, 0) > 1 for key in keys):
            return True
    return False


@pytest.mark.parametrize("kind", ["x_drop_query", "x_drop_reply", "x_hold", "x_cut"])
def test_a_fault_that_names_messages_comes_before_some(kind: str) -> None:
    """At a moment after which its ranks send none it would touch nothing; it is there from the start instead."""
    placing = Placing(at_anchor, gates=1, heals=True)
    for seed in range(3):
        clean, profile, _ = drawn(seed)
        places = [place for place, one in enumerate(profile.anchors) if one.role == "worker"]
        for place, is_late in ((places[-1], True), (places[0], False)):
            anchor = profile.anchors[place]
            where = where_of(place, anchor)
            found, _ = with_fault_at(Draws(seed), clean.document, profile, kind, where, placing, (anchor.rank,))
            (fault,) = faults_of(found)
            assert fault["inject"] == kind
            assert fault.get("after") == (None if is_late else anchor.moment)
