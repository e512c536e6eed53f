"""The explorer with plays that need no processes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from fake_controllers import FakeControllers
from fake_parts import FakeInvestigation, FakeLibrary, document, fake_parts, play, signatures, with_fault
from sessions import ALL, MakeSession, Session, knowledge_of, library_of

from harness.campaign.runner import Runner
from harness.explore.canary import why_not_found
from harness.explore.draft import CANARY, CLEAN, MUTATION, SYSTEMATIC, UNIFORM, Draft
from harness.explore.lanes import SHARES
from harness.explore.observation import Observation, Signature
from harness.explore.parts import CONFIRMED, UNCONFIRMED, UNREPRODUCED
from harness.play.options import RunOptions
from harness.scenario.scenario import Scenario
from harness.values.errors import HarnessError
from harness.values.history import History
from harness.values.verdict import FAILED, Judgement

SECOND = 1_000_000_000


def never_down(scenario: Scenario) -> History:
    """Nothing ever goes wrong."""
    return play(replace(scenario, faults=tuple(replace(fault, kind="latency") for fault in scenario.faults)))


def test_every_lane_is_served_and_every_draft_comes_back(session: MakeSession) -> None:
    """As many observations as plays; each lane about as often as its share says."""
    parts = fake_parts(systematic=lambda draft, _: (with_fault(draft, SYSTEMATIC, 0, n % 2) for n in range(1000)))
    tally = session(never_down).play(parts, runs=300)
    lanes = knowledge_of(parts).lanes
    assert tally.runs == 300 == sum(lanes.values())
    assert lanes == tally.lanes
    assert set(lanes) == set(ALL)
    assert all(lanes[lane] > share * 300 / 2 for lane, share in SHARES.items())


@pytest.mark.parametrize("lane", [SYSTEMATIC, MUTATION, UNIFORM, CLEAN])
def test_one_lane_alone_can_be_asked_for(session: MakeSession, lane: str) -> None:
    """Beside it only workloads are played without faults, because every lane needs them."""
    parts = fake_parts()
    session().play(parts, runs=60, lanes=(lane,))
    lanes = knowledge_of(parts).lanes
    assert set(lanes) == {lane, CLEAN}
    assert lanes[lane] > (2 if lane == SYSTEMATIC else 20)


def test_a_workload_is_played_without_faults_before_it_gets_any(session: MakeSession) -> None:
    """Its profile comes from that play."""
    parts = fake_parts()
    session().play(parts, runs=100)
    clean: set[str] = set()
    for observation in knowledge_of(parts).seen:
        if observation.draft.lane == CLEAN:
            clean.add(observation.draft.id)
        elif observation.draft.lane in (SYSTEMATIC, UNIFORM):
            assert observation.draft.parent in clean


def test_drafts_without_budget_are_passed_over(session: MakeSession) -> None:
    """The other lanes take their turn."""
    parts = fake_parts()
    knowledge_of(parts).used_up = {SYSTEMATIC}
    session().play(parts, runs=60)
    assert SYSTEMATIC not in knowledge_of(parts).lanes


def test_a_find_is_confirmed_shrunk_and_stored_once(session: MakeSession) -> None:
    """However often it is seen."""
    parts = fake_parts()
    tally = session().play(parts, runs=200)
    (find,) = library_of(parts).finds
    assert (find.status, find.cause, find.outcome.hits) == (CONFIRMED, "joins-1", 3)
    assert find.outcome.minimal is not None
    assert len(find.outcome.minimal.document["workload"]) == 1
    assert [stored.is_new for stored in tally.finds] == [True]
    assert tally.again["joins-1"] > 5
    assert library_of(parts).again == ["joins-1"]


def test_investigations_get_no_more_than_their_share(session: MakeSession) -> None:
    """One that never ends does not keep the lanes from their plays."""

    class Endless(FakeInvestigation):
        def next(self) -> list[Draft]:
            return [self.best]

        def add(self, observation: Observation) -> None:
            pass

    parts = fake_parts(investigation=Endless)
    tally = session().play(parts, runs=200, share=0.25, grace_ns=0)
    assert 0.2 * tally.runs < tally.investigated <= 0.27 * tally.runs
    assert [find.status for find in library_of(parts).finds] == [UNCONFIRMED]


def test_what_is_explained_is_counted_and_not_investigated(session: MakeSession) -> None:
    """By its cause, given the subject and the version of torch."""
    asked: set[tuple[str, str]] = set()

    def explained(signature: object, subject: str, torch: str, whole: object) -> str:
        asked.add((subject, torch))
        return "F02"

    parts = fake_parts(explained=explained)
    tally = session().play(parts, runs=100)
    assert tally.explained["F02"] == tally.statuses[FAILED] > 5
    assert (library_of(parts).finds, tally.investigated) == ([], 0)
    assert asked == {("echo", "2.15.0+cpu")}


def test_what_is_not_reproduced_is_stored_and_left(session: MakeSession) -> None:
    """It failed once."""
    fails = iter([True])

    def once(scenario: Scenario) -> History:
        is_down = any(fault.kind == "down" for fault in scenario.faults)
        return play(scenario) if not is_down or next(fails, False) else never_down(scenario)

    parts = fake_parts()
    tally = session(once).play(parts, runs=100)
    assert [find.status for find in library_of(parts).finds] == [UNREPRODUCED]
    assert (tally.again, tally.investigated) == ({}, 3)


def test_an_idle_fault_hides_no_violation(session: MakeSession) -> None:
    """The history is judged again as one without it."""

    def broken(scenario: Scenario) -> History:
        slicer = any(fault.kind == "slicer" for fault in scenario.faults)
        faults = tuple(replace(fault, kind="down") for fault in scenario.faults)
        return _with_idle_faults(scenario, replace(scenario, faults=faults)) if slicer else never_down(scenario)

    parts = fake_parts()
    session(broken).play(parts, runs=60)
    assert [find.signature.check for find in library_of(parts).finds] == ["joins"]
    seen = [one for one in knowledge_of(parts).seen if one.signatures]
    assert {(one.status, one.untouched) for one in seen} == {("vacuous", ("slicer",))}


def _with_idle_faults(scenario: Scenario, played: Scenario) -> History:
    """The joins of one scenario, with the faults of another, which touch nothing."""
    from pasts import Past

    past = Past(scenario.world.size, "echo").all_join(step="join", outcome="failed")
    for fault in scenario.faults:
        past.fault(fault.name, 0.0005, 1, kind=fault.kind, ranks=fault.ranks, touched=False)
    return past.whole()


def test_it_ends_in_time_and_investigations_get_their_grace(session: MakeSession) -> None:
    """At the end of its time no lane is played any more; what is under investigation ends."""
    parts = fake_parts()
    one = session(jobs=1)
    one.tick_ns = SECOND
    tally = one.play(parts, span_ns=60 * SECOND, grace_ns=100 * SECOND, share=0.05)
    assert sum(tally.lanes.values()) < 60
    assert [find.status for find in library_of(parts).finds] == [CONFIRMED]
    assert one.now_ns < 170 * SECOND


def test_without_grace_a_find_is_stored_unconfirmed(session: MakeSession) -> None:
    """It is not lost, and the next session goes on with it."""
    parts = fake_parts()
    tally = session().play(parts, runs=30, share=0.0, grace_ns=0)
    (find,) = library_of(parts).finds
    assert (find.status, len(tally.finds)) == (UNCONFIRMED, 1)
    again = fake_parts()
    library_of(again).left = [(find.shown, find.signature)]
    session().play(again, runs=20, lanes=(CLEAN,))
    assert [one.status for one in library_of(again).finds] == [CONFIRMED]


def test_a_next_session_goes_on(session: MakeSession) -> None:
    """With other seeds, also from the same first one; a finding of the first is no new one."""
    drawn: list[int] = []

    def uniform(seed: int, draft: Draft, profile: object) -> Draft:
        drawn.append(seed)
        return with_fault(draft, UNIFORM, seed % 3)

    parts = fake_parts(uniform=uniform)
    session().play(parts, runs=100)
    tally = session().play(parts, runs=100)
    assert len(set(drawn)) == len(drawn) > 20
    assert (tally.finds, len(library_of(parts).finds)) == ([], 1)
    assert tally.again["joins-1"] > 5


def test_entries_of_an_earlier_session_get_their_workload_played_first(session: MakeSession) -> None:
    """It has their profile."""
    parts = fake_parts()
    entry = with_fault(Draft(document("Earlier"), CLEAN, 0), MUTATION, 0)
    knowledge_of(parts).entries.append(entry)
    session().play(parts, runs=60, lanes=(MUTATION,))
    clean = Draft(document("Earlier and mutation 0"), CLEAN, 0)
    played = [one.draft.id for one in knowledge_of(parts).seen]
    assert clean.id in played
    assert any(one.draft.parent == entry.id for one in knowledge_of(parts).seen)


def test_the_canary_is_found_confirmed_shrunk_and_no_finding(session: MakeSession) -> None:
    """Two ranks, three steps and no fault are left of it."""
    parts = fake_parts()
    tally = session(never_down_but_canary).play(parts, runs=150, canary=True)
    assert why_not_found(tally.canary) == ""
    assert tally.canary is not None
    assert tally.canary.outcome.minimal is not None
    assert [step["do"] for step in tally.canary.outcome.minimal.document["workload"]] == ["rendezvous", "set", "get"]
    assert (library_of(parts).finds, tally.finds) == ([], [])
    assert CANARY not in knowledge_of(parts).lanes


def never_down_but_canary(scenario: Scenario) -> History:
    return never_down(scenario) if len(scenario.steps) < 3 else play(scenario)


def test_a_blind_explorer_does_not_find_the_canary(session: MakeSession) -> None:
    """Nothing is violated where nothing is judged; and what is not shrunk does not count."""
    blind = fake_parts(signatures=lambda *_: frozenset())
    assert why_not_found(session().play(blind, runs=60, canary=True).canary) == "it was not found"
    lazy = fake_parts(investigation=Lazy)
    assert "3 ranks, 6 steps, 1 faults" in why_not_found(session().play(lazy, runs=60, canary=True).canary)


class Lazy(FakeInvestigation):
    """Shrinks nothing."""

    def next(self) -> list[Draft]:
        self.is_done = self.is_done or self._candidates is not None
        return [] if self.is_done else list(super().next())


def test_an_interrupt_keeps_what_is_under_investigation(session: MakeSession) -> None:
    """What ends the session early calls `close`; twice stores nothing twice."""
    parts = fake_parts()
    one = session()
    one.play(parts, most=40, share=0.0, span_ns=10**15)
    assert library_of(parts).finds == []
    one.source.close()
    one.source.close()
    assert [find.status for find in library_of(parts).finds] == [UNCONFIRMED]


def test_run_directories_are_forgotten_but_those_that_show_a_find(session: MakeSession) -> None:
    """When the find is stored its directory goes too; none is forgotten twice."""
    held: list[Path] = []

    class Looks(FakeLibrary):
        def add(self, find: object) -> Path:
            held.append(find.shown.run_dir)  # type: ignore[attr-defined]
            assert held[-1] not in one.forgotten
            return super().add(find)  # type: ignore[arg-type]

    one = session()
    tally = one.play(fake_parts(library=Looks()), runs=100)
    assert len(held) == 1
    assert sorted(one.forgotten) == sorted({result.run_dir for result in one.results if result.run_dir})
    assert len(one.forgotten) == tally.runs


def test_a_draft_that_does_not_load_is_counted(session: MakeSession) -> None:
    """Others are played in its place; if none loads, that is an error."""

    def workload(seed: int) -> Draft:
        size = 2 if seed % 2 else -1
        return Draft({**document(f"Workload {seed}"), "world": {"size": size, "timeout": "1s"}}, CLEAN, seed)

    tally = session().play(fake_parts(workload=workload), runs=40)
    assert tally.refused > 0
    assert tally.runs == 40
    with pytest.raises(HarnessError, match="200 drafts in a row"):
        session().play(fake_parts(workload=lambda seed: Draft({"title": str(seed)}, CLEAN, seed)), runs=40)


def test_an_investigation_that_wants_nothing_more_ends(session: MakeSession) -> None:
    """It would hold its place for ever."""

    class Stuck(FakeInvestigation):
        def next(self) -> list[Draft]:
            return []

    parts = fake_parts(investigation=Stuck)
    session().play(parts, runs=60)
    assert [find.status for find in library_of(parts).finds] == [UNCONFIRMED]


def test_each_replay_has_a_seed_of_its_own(session: MakeSession) -> None:
    """So a failure that depends on it is not seen as one that does not."""
    one = session()
    one.play(fake_parts(), runs=100)
    seeds = [result.seed for result in one.results]
    assert len(set(seeds)) == len(seeds)


def test_errors_say_nothing_about_the_subject(session: MakeSession) -> None:
    """A play that was cut short has neither signatures nor features, and gives no workload."""

    def cut(scenario: Scenario) -> History:
        return History(play(scenario).ops[:3])

    parts = fake_parts()
    tally = session(cut).play(parts, runs=20)
    assert (tally.judged, tally.statuses) == (0, {"error": 20})
    assert all(not one.signatures and not one.features for one in knowledge_of(parts).seen)
    assert set(knowledge_of(parts).lanes) == {CLEAN}


def test_it_is_a_source_of_the_real_runner(tmp_path: Path) -> None:
    """With real run directories and the steady state of each red play; an interrupt in between loses no draft."""
    parts = fake_parts()
    explorer = Session(play, 3).explorer(parts, runs=40)
    options = RunOptions(subject="echo", runs_dir=tmp_path, jobs=3, seed=7)
    with Runner(options, start=FakeControllers(play)) as runner:
        results = list(runner.run_source(explorer))
    assert explorer.tally.runs == len(results) >= 40
    assert [find.cause for find in library_of(parts).finds] == ["joins-1"]


def two_signatures(
    scenario: Scenario, history: History, judgement: Judgement, run_dir: Path | None
) -> frozenset[Signature]:
    """Each red play violates a second thing too."""
    found = signatures(scenario, history, judgement, run_dir)
    return found | {Signature("late", message=one.message) for one in found}


def test_what_goes_together_with_a_find_is_no_other_find(session: MakeSession) -> None:
    """The principal violation of a play is investigated, and tells which others have the same cause."""

    class Companions(FakeInvestigation):
        met: frozenset[Signature] = frozenset()

        def add(self, observation: Observation) -> None:
            super().add(observation)
            self.met |= observation.signatures - {self.signature}
            self.found_out = replace(self.found_out, companions=self.met)

    parts = fake_parts(signatures=two_signatures, investigation=Companions)
    tally = session().play(parts, runs=120)
    assert [find.signature.check for find in library_of(parts).finds] == ["joins"]
    assert tally.again["joins-1"] > 10


def test_what_is_met_on_the_way_is_investigated_too(session: MakeSession) -> None:
    """As a find of its own, unless it is explained."""

    class Meets(FakeInvestigation):
        @property
        def others(self) -> list[tuple[Draft, Signature]]:  # type: ignore[override]
            met = with_fault(Draft(document("Met"), CLEAN, 0), MUTATION, 1)
            return [(met, replace(self.signature, check=check)) for check in ("late", "F02")]

        @others.setter
        def others(self, _: object) -> None:
            pass

    def explained(signature: Signature, *_: object) -> str | None:
        return "F02" if signature.check == "F02" else None

    parts = fake_parts(signatures=two_signatures, investigation=Meets, explained=explained)
    session().play(parts, runs=120)
    assert [find.signature.check for find in library_of(parts).finds] == ["joins", "late"]


def test_a_find_that_shrinks_to_a_known_cause_is_explained(session: MakeSession) -> None:
    """It is stored with that cause, and is not new."""

    def explained(signature: Signature, subject: str, torch: str, whole: Mapping[str, Any]) -> str | None:
        return "F02" if len(whole["workload"]) == 1 else None

    parts = fake_parts(explained=explained)
    tally = session().play(parts, runs=100)
    (stored,) = tally.finds
    assert (stored.find.explained_by, stored.is_new, tally.explained) == ("F02", False, {"F02": 1})
