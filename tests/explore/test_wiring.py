"""The session's view of the corpus, the generator and the findings as they are."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from stored_findings import SIGNATURE, draft, findings, red_run

from harness.explore.corpus import Corpus
from harness.explore.draft import CLEAN, UNIFORM, Profile
from harness.explore.draws import Draws
from harness.explore.finding import Tried
from harness.explore.findings import FOUND
from harness.explore.generate import uniform
from harness.explore.investigation import Investigation
from harness.explore.observation import Observation, Signature
from harness.explore.parts import CONFIRMED, UNCONFIRMED, UNREPRODUCED, Find, Outcome
from harness.explore.wiring import Investigated, Known, Stored, clean, files, parts
from harness.explore.workloads import FAMILIES, workload
from harness.values.errors import UsageError
from harness.values.verdict import FAILED, PASSED


def find(folder: Path, status: str = CONFIRMED, cause: str = "a-cause") -> Find:
    found, minimal = draft("As it was found"), draft()
    outcome = Outcome(20, 20, minimal) if status == CONFIRMED else Outcome()
    if status == UNREPRODUCED:
        outcome = Outcome(1, 20)
    played = minimal if status == CONFIRMED else found
    shown = Observation(played, FAILED, frozenset({SIGNATURE}), run_dir=red_run(folder, played))
    return Find(SIGNATURE, found, status, cause, outcome, shown)


def test_a_confirmed_find_is_known_to_the_next_session(tmp_path: Path) -> None:
    """By its signature and by its cause; its file is the smallest draft."""
    library = Stored(findings(tmp_path / "findings"), "static")
    assert (library.cause_of(SIGNATURE), library.has("a-cause")) == (None, False)
    path = library.add(find(tmp_path))
    assert path.read_text() == draft().text
    later = Stored(findings(tmp_path / "findings"), "static")
    for one in (library, later):
        assert (one.cause_of(SIGNATURE), one.has("a-cause")) == ("a-cause", True)
    later.seen("a-cause")
    assert findings(tmp_path / "findings").read("a-cause").seen == 2
    assert files(tmp_path / "corpus", tmp_path / "findings") == {"a-cause": path}


def test_what_another_subject_has_shown_is_news(tmp_path: Path) -> None:
    """Also what it has not finished is left to it; once both have shown it, both know it."""
    folder = findings(tmp_path / "findings")
    Stored(folder, "static").add(find(tmp_path))
    Stored(folder, "static").add(find(tmp_path, UNCONFIRMED, "unfinished"))
    strict = Stored(folder, "static-strict")
    assert (strict.cause_of(SIGNATURE), strict.has("a-cause"), strict.unfinished()) == (None, False, [])
    shown = Observation(draft(), FAILED, run_dir=red_run(tmp_path, draft(), "static-strict"))
    strict.add(replace(find(tmp_path), shown=shown))
    later = Stored(folder, "static-strict")
    assert (later.cause_of(SIGNATURE), later.has("a-cause")) == ("a-cause", True)
    assert Stored(folder, "static").has("a-cause")


def test_a_comparison_is_stored_with_its_finding(tmp_path: Path) -> None:
    """That is no new sight of it."""
    library = Stored(findings(tmp_path / "findings"), "static")
    library.add(find(tmp_path))
    strict, bare = Tried("static-strict", "2.15.0", 0, 20), Tried("static", "2.15.0", 0, 5)
    library.compared("a-cause", (strict,), bare, True)
    finding = findings(tmp_path / "findings").read("a-cause")
    assert (finding.tried, finding.without_faults, finding.seen) == ((strict,), bare, 1)


def test_a_comparison_that_was_cut_short_is_left_to_the_next_session(tmp_path: Path) -> None:
    """Of the same subject and torch, until all of it was played; what has a known cause is not compared."""
    folder = findings(tmp_path / "findings")
    library = Stored(folder, "static", "2.15.0")
    library.add(find(tmp_path))
    library.add(replace(find(tmp_path, cause="explained"), explained_by="F02"))
    library.add(find(tmp_path, UNREPRODUCED, "once"))
    strict = Tried("static-strict", "2.15.0", 0, 20)
    library.compared("a-cause", (strict,), None, False)
    ((finding, smallest),) = Stored(folder, "static", "2.15.0").uncompared()
    assert (finding.cause, finding.tried, smallest.text) == ("a-cause", (strict,), draft().text)
    for subject, torch in (("static", "2.6.0"), ("static-strict", "2.15.0")):
        assert not Stored(folder, subject, torch).uncompared()
    library.compared("a-cause", (), None, True)
    assert not Stored(folder, "static", "2.15.0").uncompared()


def test_what_fails_too_seldom_to_be_filed_is_known_and_compared(tmp_path: Path) -> None:
    """It was confirmed, so it is no news to the next session; what was seen once is."""
    folder = findings(tmp_path / "findings")
    seldom = replace(find(tmp_path), outcome=Outcome(8, 20, draft()))
    path = Stored(folder, "static").add(seldom)
    assert path.parent == folder.path("a-cause", unreproduced=True)
    later = Stored(folder, "static", "2.15.0")
    assert (later.cause_of(SIGNATURE), later.has("a-cause"), later.unfinished()) == ("a-cause", True, [])
    assert [finding.failed for finding, _ in later.uncompared()] == [8]
    later.seen("a-cause")
    later.compared("a-cause", (), Tried("static", "2.15.0", 0, 5), True)
    assert (folder.read("a-cause", unreproduced=True).seen, later.uncompared()) == (2, [])
    Stored(folder, "static").add(
        replace(find(tmp_path, UNREPRODUCED, "once"), signature=replace(SIGNATURE, verb="get"))
    )
    assert not Stored(folder, "static").has("once")


def test_two_that_are_unfinished_are_both_gone_on_with(tmp_path: Path) -> None:
    """Their drafts were not made small, so that their keys are equal proves nothing."""
    folder = findings(tmp_path / "findings")
    other = replace(SIGNATURE, message="another")
    library = Stored(folder, "static")
    library.add(find(tmp_path, UNCONFIRMED))
    library.add(replace(find(tmp_path, UNCONFIRMED), signature=other))
    later = Stored(folder, "static")
    left = {signature: observation for observation, signature in later.unfinished()}
    assert left.keys() == {SIGNATURE, other}
    for signature, observation in left.items():
        later.add(replace(find(tmp_path, CONFIRMED), signature=signature, shown=observation))
    assert (Stored(folder, "static").unfinished(), folder.names(), folder.unfiled.names()) == ([], ["a-cause"], [])


@pytest.mark.parametrize("then", [CONFIRMED, UNREPRODUCED])
def test_what_is_unfinished_is_investigated_by_the_next_session(tmp_path: Path, then: str) -> None:
    """Once it is finished it is unfinished no longer, also if its play is the one that was stored."""
    assert Stored(findings(tmp_path / "findings"), "static").add(find(tmp_path, UNCONFIRMED)).exists()
    later = Stored(findings(tmp_path / "findings"), "static")
    ((observation, signature),) = later.unfinished()
    assert (observation.draft.text, signature) == (draft("As it was found").text, SIGNATURE)
    assert later.cause_of(SIGNATURE) is None
    again = replace(find(tmp_path, then), shown=observation)
    assert later.add(again).exists()
    last = Stored(findings(tmp_path / "findings"), "static")
    assert list(last.unfinished()) == []
    assert last.has("a-cause") is (then == CONFIRMED)


def test_an_investigation_that_was_cut_short_goes_on_from_what_it_had_reached(tmp_path: Path) -> None:
    """The next session begins with the smallest draft so far, also after several sessions without an end."""
    folder = findings(tmp_path / "findings")
    Stored(folder, "static").add(find(tmp_path, UNCONFIRMED))
    for title in ("Smaller", "Smallest"):
        later = Stored(folder, "static")
        ((begun, _),) = later.unfinished()
        reached = draft(title)
        shown = Observation(reached, FAILED, run_dir=red_run(tmp_path, reached))
        outcome = Outcome(reached=reached)
        later.add(replace(find(tmp_path, UNCONFIRMED), draft=begun.draft, outcome=outcome, shown=shown))
        ((observation, signature),) = Stored(folder, "static").unfinished()
        assert (observation.draft.text, signature) == (reached.text, SIGNATURE)
    assert (folder.path("a-cause", unreproduced=True) / FOUND).read_text() == draft("As it was found").text


def test_what_stays_unfinished_stays_as_it_was_stored(tmp_path: Path) -> None:
    """A session without time for it loses nothing."""
    Stored(findings(tmp_path / "findings"), "static").add(find(tmp_path, UNCONFIRMED))
    for _ in range(2):
        later = Stored(findings(tmp_path / "findings"), "static")
        ((observation, _),) = later.unfinished()
        later.add(replace(find(tmp_path, UNCONFIRMED), shown=observation))


def test_the_workload_of_a_draft_is_found_again() -> None:
    """Of every family: the draft that its faults were put into, so that its profile fits.

    Benign faults get a longer timeout, which stays.
    """
    first: dict[str, int] = {}
    seeds = iter(range(1000))
    while first.keys() != FAMILIES.keys():
        seed = next(seeds)
        first.setdefault(workload(Draws(seed)).workload, seed)
    for seed in first.values():
        plain = workload(Draws(seed))
        faulty = uniform(Draws(seed), plain, Profile(lasted_ns=1))
        found = clean(faulty)
        assert found is not None
        longer = {**plain.document["world"], "timeout": faulty.document["world"]["timeout"]}
        assert (found.document, found.lane) == ({**plain.document, "world": longer}, CLEAN)
    assert clean(draft()) is None


def test_the_corpus_gives_entries_and_goes_on(tmp_path: Path) -> None:
    """Effort is learned again from its runs: what has used up its budgets is not chosen."""
    plain = workload(Draws(1))
    faulty = replace(uniform(Draws(1), plain, Profile(lasted_ns=1)), lane=UNIFORM)
    with Corpus(tmp_path) as corpus:
        known = Known(corpus)
        assert (known.entry(lambda: 0.0), known.chance_of_new) == (None, None)
        seen = Observation(faulty, PASSED, features=frozenset({"a"}), seconds=1.0)
        assert known.add(seen) == {"a"}
        assert known.choose([faulty], lambda: 0.3) == faulty
        for _ in range(10):
            known.add(seen)
        assert known.choose([faulty], lambda: 0.3) is None
        assert (known.runs, known.features, known.chance_of_new) == (11, 1, 3 / 11)
    with Corpus(tmp_path) as corpus:
        known = Known(corpus)
        entry = known.entry(lambda: 0.0)
        assert entry is not None
        assert entry.id == faulty.id
        assert known.choose([faulty], lambda: 0.3) is None


def test_what_comes_and_goes_in_replays_is_not_new(tmp_path: Path) -> None:
    """A feature in one of three plays of a draft; one in two of three is none of these."""
    plain = workload(Draws(1))
    with Corpus(tmp_path) as corpus:
        known = Known(corpus)
        known.learn_replays([frozenset({"a", "b", "seldom"}), frozenset({"a", "b"}), frozenset({"a"})])
        found = frozenset({"a", "b", "seldom", "other"})
        assert known.add(Observation(plain, PASSED, features=found)) == {"a", "b", "other"}


def test_drafts_are_drawn_for_the_world_that_is_asked_for(tmp_path: Path) -> None:
    """Workloads name its kind, and so do entries that were played in another one, if they can be played there."""
    plain = workload(Draws(1))
    with parts(tmp_path / "c", tmp_path / "f", "static", "2.15.0", "namespaces") as all_parts:
        drawn = all_parts.workload(1)
        assert drawn.document["world"] == {**plain.document["world"], "kind": "namespaces"}
        assert drawn.scenario.world.kind == "namespaces"
        all_parts.knowledge.add(Observation(plain, PASSED, features=frozenset({"a"}), seconds=1.0))
        entry = all_parts.knowledge.entry(lambda: 0.0)
        assert entry is not None
        assert entry.document == drawn.document
    with parts(tmp_path / "c", tmp_path / "f", "static", "2.15.0") as all_parts:
        assert all_parts.knowledge.entry(lambda: 0.0) == plain


def test_an_investigation_says_what_it_has_found_out() -> None:
    """Nothing until it is done."""
    one = Investigated(draft(), SIGNATURE)
    assert isinstance(one, Investigation)
    assert one.found_out == Outcome()
    for _ in range(30):
        for played in one.next():
            one.add(Observation(played, PASSED))
    assert (one.is_done, one.found_out.minimal) == (True, None)


@pytest.mark.parametrize(
    ("subject", "like", "ref"),
    [("mine", "", None), ("mine", "static-strict", "F19"), ("static", "", "F19"), ("static", "static-strict", "F19")],
)
def test_what_is_known_of_a_backend_is_known_of_those_that_are_like_it(
    subject: str, like: str, ref: str | None, tmp_path: Path
) -> None:
    """A key that torch's server refuses costs the connection, whatever made the store; what is new stays new."""
    lost = Signature("unaffected", "check", "worker", "failed", error="DistNetworkError", message="connection lost")
    document = {"world": {"size": 2}, "workload": [{"do": "set", "key": "k" * 8193}]}
    with parts(tmp_path / "c", tmp_path / "f", subject, "2.15.0", like=like) as all_parts:
        assert all_parts.explained(lost, subject, "2.15.0", document) == ref
        assert all_parts.explained(replace(lost, check="no_hang"), subject, "2.15.0", document) is None


def test_two_sessions_do_not_share_a_corpus(tmp_path: Path) -> None:
    """The second is refused, with what to do."""
    with parts(tmp_path / "c", tmp_path / "f", "static", "2.15.0"), pytest.raises(UsageError, match="another explorer"):
        parts(tmp_path / "c", tmp_path / "f", "static", "2.15.0").__enter__()
