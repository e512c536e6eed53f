"""An investigation against simulated plays: what it shrinks to, in how many runs, and how surely that fails."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from explore.drafts import HANGS, LARGE, Chance, investigated, large_draft, muted_get, names

from harness.explore.edits import NEUTRAL, entries, without
from harness.explore.investigation import Investigation, Limits
from harness.explore.observation import Observation, Signature
from harness.explore.shrink import candidates
from harness.loader import load_text, written
from harness.values.verdict import ERROR, FAILED, PASSED, SKIPPED

OTHER = Signature("error_contract", "rendezvous", "worker", "failed", "ValueError")


@pytest.fixture(autouse=True)
def _without_the_loader(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Simulated plays need no files, and writing and reading them would take most of the time; one test does it."""
    if request.node.name != "test_each_candidate_that_is_played_loads":
        monkeypatch.setattr("harness.explore.draft.written", repr)
        valid = "harness.explore.investigation.is_valid"
        monkeypatch.setattr(valid, lambda draft: bool(entries(draft.document, "workload")))


PATIENT = Limits(most_runs=100_000, most_seconds=400_000.0)


def fails(p: float) -> Chance:
    """With this probability if the document still has what the failure needs."""
    return lambda document: p if muted_get(document) else 0.0


def _is_smallest(document: Mapping[str, Any]) -> bool:
    """One muting fault, two ranks, and no step beside the join and the read."""
    return (
        [fault["inject"] for fault in entries(document, "faults")] == ["blackhole"]
        and document["world"]["size"] == 2
        and sorted(step["do"] for step in entries(document, "workload")) == ["get", "rendezvous"]
    )


def test_a_certain_failure_is_shrunk_to_what_it_needs() -> None:
    """Of 3 faults, 4 ranks and 8 steps one fault, two ranks, and two steps are left, within 100 runs."""
    investigation = investigated(Investigation(large_draft(), HANGS), fails(1.0))
    outcome = investigation.outcome
    assert outcome is not None
    assert _is_smallest(outcome.draft.document)
    assert (outcome.hits, outcome.runs) == (20, 20)
    assert outcome.used <= 100
    assert not outcome.unreproduced
    assert outcome.ancestry[0] == large_draft().id
    assert outcome.ancestry[-1] == outcome.draft.id
    assert len(outcome.changes) == len(outcome.ancestry) - 1
    assert outcome.interval[0] > 0.8


def test_it_says_what_is_done() -> None:
    """Confirming until the replays agree, shrinking until nothing more goes, certifying until the end."""
    investigation = Investigation(large_draft(), HANGS)
    done = [investigation.doing]
    while not investigation.is_done:
        for draft in investigation.next():
            found = frozenset({HANGS} if muted_get(draft.document) else ())
            investigation.add(Observation(draft, FAILED if found else PASSED, found))
            done.append(investigation.doing)
    assert list(dict.fromkeys(done)) == ["confirming", "shrinking", "certifying"]
    assert (done.index("shrinking"), done.count("certifying")) == (5, 20 + 1)


def test_the_smallest_has_no_smaller_candidate_that_fails() -> None:
    """With enough runs the end of a certain failure is a minimum: none of its candidates fails."""
    outcome = investigated(Investigation(large_draft(), HANGS, PATIENT), fails(1.0)).outcome
    assert outcome is not None
    assert outcome.complete
    assert not any(muted_get(one) for one in candidates(outcome.draft.document, HANGS))


@pytest.mark.parametrize("p", [0.9, 0.5, 0.3])
def test_a_flaky_failure_is_shrunk_and_keeps_its_probability(p: float) -> None:
    """A failure that not every play shows loses its faults, ranks and steps too, and is found as often as before."""
    outcome = investigated(Investigation(large_draft(), HANGS, PATIENT), fails(p), seed=3).outcome
    assert outcome is not None
    assert _is_smallest(outcome.draft.document)
    low, high = outcome.interval
    assert low <= p <= high


def test_what_lowers_the_probability_is_not_taken_away() -> None:
    """A step without which the failure shows only one time in five stays."""

    def chance(document: Mapping[str, Any]) -> float:
        return (1.0 if "add" in [step["do"] for step in entries(document, "workload")] else 0.2) * muted_get(document)

    outcome = investigated(Investigation(large_draft(), HANGS, PATIENT), chance).outcome
    assert outcome is not None
    assert [step["do"] for step in entries(outcome.draft.document, "workload")] == ["rendezvous", "add", "get"]
    assert (outcome.hits, outcome.runs) == (20, 20)


def test_a_certification_that_fails_goes_back_to_an_ancestor() -> None:
    """Where small drafts pass the sequential test and fail later, an ancestor that fails often enough is the result."""
    played: dict[str, int] = {}

    def chance(document: Mapping[str, Any]) -> float:
        small = len(entries(document, "workload")) <= 3
        key = "small" if small else "large"
        played[key] = played.get(key, 0) + 1
        lucky = played[key] <= 12
        return float(muted_get(document) and (not small or lucky))

    outcome = investigated(Investigation(large_draft(), HANGS), chance).outcome
    assert outcome is not None
    assert len(entries(outcome.draft.document, "workload")) > 3
    assert outcome.hits == outcome.runs
    assert not outcome.complete
    assert outcome.ancestry[-1] == outcome.draft.id


# -- confirming ---------------------------------------------------------------------------------------------------


def test_a_find_that_does_not_come_again_is_unreproduced() -> None:
    """After 19 plays without it no two of 20 can show it; nothing is shrunk."""
    outcome = investigated(Investigation(large_draft(), HANGS), fails(0.0)).outcome
    assert outcome is not None
    assert outcome.unreproduced
    assert (outcome.hits, outcome.runs, outcome.used) == (0, 19, 19)
    assert outcome.draft == large_draft()
    assert outcome.ancestry == (large_draft().id,)


def test_five_replays_that_agree_are_enough() -> None:
    """They are wanted four at a time, the fifth when one has ended; then the first candidates are."""
    investigation = Investigation(large_draft(), HANGS)
    first = investigation.next()
    assert [draft.id for draft in first] == [large_draft().id] * 4
    assert investigation.next() == ()
    investigation.add(Observation(large_draft(), FAILED, frozenset([HANGS])))
    assert [draft.id for draft in investigation.next()] == [large_draft().id]
    for _ in range(4):
        investigation.add(Observation(large_draft(), FAILED, frozenset([HANGS])))
    candidates = investigation.next()
    assert len(candidates) == 4
    assert large_draft().id not in {draft.id for draft in candidates}
    assert all(draft.parent for draft in candidates)


@pytest.mark.parametrize("status", [ERROR, SKIPPED])
def test_a_play_that_says_nothing_is_asked_again(status: str) -> None:
    """It counts neither as a hit nor as a miss; if it happens again and again, the find is unreproduced."""
    investigation = Investigation(large_draft(), HANGS, Limits(side_by_side=1))
    investigation.next()
    investigation.add(Observation(large_draft(), status))
    for _ in range(5):
        assert [draft.id for draft in investigation.next()] == [large_draft().id]
        investigation.add(Observation(large_draft(), FAILED, frozenset([HANGS])))
    assert large_draft().id not in {draft.id for draft in investigation.next()}
    outcome = investigated(Investigation(large_draft(), HANGS), lambda _: 0.0, nothing=status).outcome
    assert outcome is not None
    assert outcome.unreproduced
    assert outcome.runs == 0
    assert outcome.used <= 10


# -- other finds --------------------------------------------------------------------------------------------------


def test_another_signature_is_a_find_of_its_own() -> None:
    """What a candidate shows instead is kept with its draft, and does not count as this failure."""
    investigation = Investigation(large_draft(), HANGS)
    for _ in range(5):
        investigation.next()
        investigation.add(Observation(large_draft(), FAILED, frozenset([HANGS])))
    (candidate, *_) = investigation.next()
    investigation.add(Observation(candidate, FAILED, frozenset([OTHER])))
    ((seen, signature),) = investigation.others
    assert (seen.draft, signature) == (candidate, OTHER)
    investigated(investigation, fails(1.0))
    assert investigation.others == ((seen, signature),)


def test_what_shows_beside_it_is_the_same_cause() -> None:
    """A signature that the certified runs show too goes with this find, and is none of the others."""
    beside = replace(HANGS, check="deadline")
    investigation = investigated(Investigation(large_draft(), HANGS), fails(1.0), also=beside)
    assert investigation.outcome is not None
    assert investigation.outcome.companions == {beside}
    assert investigation.others == ()


def test_a_claim_that_only_stands_there_to_have_one_is_no_find() -> None:
    """A file needs a claim, also where a standing invariant is violated."""
    investigation = Investigation(large_draft(), HANGS)
    investigation.next()
    investigation.add(Observation(large_draft(), FAILED, frozenset([replace(OTHER, check=NEUTRAL)])))
    assert investigation.others == ()


# -- limits -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("p", [1.0, 0.9, 0.5, 0.3])
def test_the_limit_of_runs(p: float) -> None:
    """Confirming, shrinking and one certification take at most 100 runs together; 1/p times that if it is flaky."""
    investigation = investigated(Investigation(large_draft(), HANGS), fails(p), seed=5)
    outcome = investigation.outcome
    assert outcome is not None
    assert 100 <= investigation.most_runs <= (100 if p == 1 else 300)
    assert outcome.used <= investigation.most_runs + (0 if outcome.complete else 2 * 20)
    assert len(entries(outcome.draft.document, "faults")) == 1
    assert len(outcome.draft.text) < len(large_draft().text)


def test_the_limit_of_seconds() -> None:
    """Where plays are long, shrinking stops in time for the certification."""
    limits = Limits(most_seconds=48.0)
    outcome = investigated(Investigation(large_draft(), HANGS, limits), fails(1.0)).outcome
    assert outcome is not None
    assert outcome.seconds <= 48.0 + 1
    assert not outcome.complete
    assert outcome.runs == 20


def test_each_candidate_that_is_played_loads() -> None:
    """What an investigation wants to have played is read by the loader."""
    draft = replace(large_draft(), document=without(LARGE, steps=[1, 2, 3, 5, 6, 7], faults=[0, 2]))
    played: list[Mapping[str, Any]] = []

    def chance(document: Mapping[str, Any]) -> float:
        played.append(document)
        return float(muted_get(document))

    investigated(Investigation(draft, HANGS), chance)
    assert len(played) > 30
    assert all(load_text(written(document), Path("a.rdzv.yaml")) for document in played[::5])


def test_the_title_stays() -> None:
    """Only what a play depends on is changed."""
    outcome = investigated(Investigation(large_draft(), HANGS), fails(1.0)).outcome
    assert outcome is not None
    assert outcome.draft.document["title"] == LARGE["title"]
    assert names(outcome.draft.document, "expect") == ["ends"]
