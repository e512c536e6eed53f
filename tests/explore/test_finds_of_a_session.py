"""What becomes of the finds of a session: what goes together, what is met on the way, how each fares elsewhere."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from fake_parts import FakeInvestigation, FakeLibrary, document, fake_parts, signatures, with_fault
from sessions import MakeSession, knowledge_of, library_of
from stored_findings import findings, new_finding

from harness.explore.draft import CLEAN, MUTATION, Draft
from harness.explore.finding import Tried
from harness.explore.observation import Observation, Signature
from harness.explore.parts import CONFIRMED, UNCONFIRMED, Find
from harness.scenario.scenario import Scenario
from harness.values.errors import HarnessError
from harness.values.history import History
from harness.values.verdict import FAILED, Judgement


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
        def others(self) -> list[tuple[Observation, Signature]]:  # type: ignore[override]
            met = Observation(with_fault(Draft(document("Met"), CLEAN, 0), MUTATION, 1), FAILED, run_dir=Path("met"))
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


def test_a_new_finding_is_tried_elsewhere_and_without_faults(session: MakeSession) -> None:
    """Once it is stored; a finding that is not new was compared already. Their plays count as plays of the session."""
    one, parts = session(), fake_parts()
    tally = one.play(parts, runs=200, others=("static-strict",))
    tried, without_faults = library_of(parts).comparisons["joins-1"]
    assert [(other.subject, other.failed, other.of, other.breaks) for other in tried] == [
        ("static-strict", 20, 20, ("joins",))
    ]
    assert without_faults is not None
    assert (without_faults.subject, without_faults.failed, without_faults.of) == ("echo", 0, 5)
    assert (tally.compared, tally.runs) == (25, len(one.results))
    assert [result.subject for result in one.results].count("static-strict") == 20
    library_of(parts).comparisons.clear()
    assert session().play(parts, runs=100, others=("static-strict",)).compared == 0


def test_a_comparison_that_was_cut_short_goes_on(session: MakeSession, tmp_path: Path) -> None:
    """A session that ends in it says so; the next one plays what is missing, and not what is known."""
    parts = fake_parts()
    one = session()
    one.play(parts, most=36, runs=1000, until_find=True, others=("static-strict",))
    one.source.close()
    assert library_of(parts).done.get("joins-1") is None
    find = library_of(parts).finds[0]
    assert (find.status, 0 < one.source.tally.compared < 25) == (CONFIRMED, True)
    strict = Tried("static-strict", "2.15.0", 0, 20)
    stored = findings(tmp_path / "findings").add(new_finding(tmp_path / "runs"))
    finding = replace(stored, cause=find.cause, subject="echo", tried=(strict,))
    library_of(parts).to_compare = [(finding, find.smallest)]
    tally = session().play(parts, runs=100, others=("static-strict",))
    assert library_of(parts).comparisons["joins-1"] == ((), Tried("echo", "2.15.0+cpu", 0, 5))
    assert (library_of(parts).done, tally.compared, tally.finds) == ({"joins-1": True}, 5, [])


def test_it_can_end_at_the_first_new_finding(session: MakeSession) -> None:
    """Once it is confirmed and compared; nothing else is played after it was confirmed."""
    one, parts = session(), fake_parts()
    tally = one.play(parts, runs=1000, until_find=True, others=("static-strict",))
    assert [stored.find.status for stored in tally.finds] == [CONFIRMED]
    assert tally.runs < 200
    assert all(other.of == 20 for other in library_of(parts).comparisons["joins-1"][0])
    assert session().play(parts, runs=100, until_find=True).finds == []  # it is not new any more


def test_what_an_interrupted_investigation_has_met_is_stored_too(session: MakeSession) -> None:
    """As a find that the next session investigates, with the play that showed it; so is what was waiting."""

    class Endless(FakeInvestigation):
        def next(self) -> list[Draft]:
            return [self.best]

        def add(self, observation: Observation) -> None:
            met = Observation(with_fault(Draft(document("Met"), CLEAN, 0), MUTATION, 1), FAILED, run_dir=Path("met"))
            self.others = [(met, replace(self.signature, check="late"))]

    parts = fake_parts(investigation=Endless)
    session().play(parts, runs=60, grace_ns=0)
    found = {find.signature.check: (find.status, find.shown.run_dir) for find in library_of(parts).finds}
    assert found.keys() == {"joins", "late"}
    assert found["joins"][0] == UNCONFIRMED
    assert found["late"] == (UNCONFIRMED, Path("met"))


def test_one_find_that_cannot_be_stored_keeps_no_other_from_it(session: MakeSession) -> None:
    """At the end; the error is raised afterwards."""

    class Full(FakeLibrary):
        def add(self, find: Find) -> Path:
            if find.signature.check == "joins":
                raise HarnessError("the disk is full")
            return super().add(find)

    parts = fake_parts(library=Full())
    explorer = session().explorer(parts)
    for check in ("joins", "late"):
        seen = Observation(with_fault(Draft(document(check), CLEAN, 0), MUTATION, 1), FAILED)
        explorer._hunts.offer(Signature(check), seen)
    with pytest.raises(HarnessError, match="disk is full"):
        explorer.close()
    assert [find.signature.check for find in library_of(parts).finds] == ["late"]
    explorer.close()


def test_the_replays_of_an_investigation_are_learned_from(session: MakeSession) -> None:
    """The features of each play, by draft; those with other subjects are none of them."""
    parts = fake_parts()
    session().play(parts, runs=100, others=("static-strict",))
    replays = knowledge_of(parts).replays
    assert max(map(len, replays)) == 3
    assert all(one == {"clean", "fault down"} for one in replays[0])
