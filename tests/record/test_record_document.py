"""The result file: its text is canonical, and merging is a union in whatever order."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from record_parts import error, five, results, scenario

from harness.record import folder
from harness.record.document import ClaimOutcome, Outcome, Play, Results, canonical, merged, parsed
from harness.record.identity import cell_name, digest, record_id
from harness.values.errors import UsageError

TORCH = "2.6.0"
IDS = st.sampled_from(["p1", "p2", "p3"])
KEYS = st.sampled_from(["k1", "k2"])
CLAIMS = st.builds(ClaimOutcome, KEYS, st.sampled_from([None, 1.0, 2.0]))
PLAYS = st.builds(
    Play,
    status=st.sampled_from(["passed", "failed", "error"]),
    broken=st.sampled_from([(), ("in-time",)]),
    claims=st.dictionaries(st.sampled_from(["in-time", "named"]), CLAIMS),
)
OUTCOMES = st.builds(Outcome, calls=st.just((error(),)), sample=st.sampled_from([("a",), ("b",)]), play=IDS)
RESULTS = st.builds(
    Results,
    torch=st.just(TORCH),
    subject=st.just("static"),
    cells=st.dictionaries(
        st.sampled_from(["t/a", "t/b"]),
        st.dictionaries(st.sampled_from(["d1", "d2"]), st.dictionaries(IDS, PLAYS, min_size=1), min_size=1),
    ),
    outcomes=st.dictionaries(KEYS, OUTCOMES),
)


@given(RESULTS, RESULTS, RESULTS)
@settings(max_examples=60, deadline=None)
def test_merging_is_a_union(a: Results, b: Results, c: Results) -> None:
    """Associative, commutative and idempotent, down to the bytes of the file."""
    assert canonical(merged(a, b)) == canonical(merged(b, a))
    assert canonical(merged(merged(a, b), c)) == canonical(merged(a, merged(b, c)))
    assert canonical(merged(a, a)) == canonical(a)


@given(RESULTS)
@settings(max_examples=30, deadline=None)
def test_a_file_is_read_as_it_was_written(a: Results) -> None:
    """And written again it is the same text."""
    assert parsed(canonical(a)) == a
    assert canonical(parsed(canonical(a))) == canonical(a)


def test_a_play_that_says_something_counts_before_one_that_does_not() -> None:
    """So a play that was disturbed is replaced when it is played again."""
    empty = Results(torch=TORCH, subject="static", cells={"t/a": {"d": {"p": Play(status="error", because="late")}}})
    full = Results(torch=TORCH, subject="static", cells={"t/a": {"d": {"p": Play(status="passed")}}})
    assert merged(empty, full).plays("t/a", "d")["p"].status == "passed"


def test_a_play_more_is_a_line_more() -> None:
    """Differences of a stored record stay small."""
    cell = scenario()
    before = results(TORCH, {1: ([], error(), 2.0)}, cell)
    after = merged(before, results(TORCH, {2: ([], error(), 2.0)}, cell))
    old, new = canonical(before).splitlines(), canonical(after).splitlines()
    assert len(new) == len(old) + 1
    assert {line.rstrip(",") for line in old} < {line.rstrip(",") for line in new}


def test_results_of_two_torches_are_not_merged() -> None:
    """Nor those of two subjects."""
    with pytest.raises(ValueError, match="two files"):
        merged(Results(torch="2.6.0", subject="static"), Results(torch="2.7.0", subject="static"))


def test_a_digest_is_of_what_is_played_and_claimed() -> None:
    """A corrected `known` entry, a title or a comment keeps the record; another claim or timeout does not."""
    cell = scenario()
    same = scenario(cell.text.replace('"<2.9"', '"<2.8"').replace("A join", "Each join") + "# a comment\n")
    assert digest(same) == digest(cell)
    assert digest(scenario(cell.text.replace("timeout: 2s", "timeout: 3s"))) != digest(cell)
    assert digest(scenario(cell.text.replace("within: timeout", "within: 3s"))) != digest(cell)


def test_a_play_has_the_same_name_wherever_it_is_played() -> None:
    """Each thing that it is made of changes the name."""
    cell = scenario()
    assert record_id(cell, 1, TORCH, "static") == record_id(scenario(), 1, TORCH, "static")
    others = [
        record_id(cell, 2, TORCH, "static"),
        record_id(cell, 1, "2.6.0+cpu", "static"),
        record_id(cell, 1, TORCH, "static-strict"),
        record_id(cell, 1, TORCH, "static", "another harness"),
    ]
    assert len({record_id(cell, 1, TORCH, "static"), *others}) == 5
    assert cell_name(cell) == "timeouts/a-join-ends-in-time"


def test_files_of_several_machines_are_one_record(tmp_path: Path) -> None:
    """Each result file is found, and what two have of one torch and subject is merged."""
    cell = scenario()
    for place, seed in (("a", 1), ("b", 2)):
        folder.save(tmp_path / place, results(TORCH, {seed: ([], error(), 2.0)}, cell))
    folder.save(tmp_path / "b", five("2.7.0", 0))
    found = folder.load_all([tmp_path / "a", tmp_path / "b"])
    assert [one.torch for one in found] == ["2.6.0", "2.7.0"]
    assert [len(one.plays(cell_name(cell), digest(cell))) for one in found] == [2, 5]


@pytest.mark.parametrize("text", ["", "[]", '{"format": "rdzv-record/v0"}', '{"torch": 3}', json.dumps([1] * 3)])
def test_a_file_that_is_no_record_is_refused_with_its_name(tmp_path: Path, text: str) -> None:
    """With what to do; no traceback."""
    (tmp_path / "x.json").write_text(text)
    with pytest.raises(UsageError, match=r"x\.json: .*record run"):
        folder.load_all([tmp_path])


def test_a_folder_without_a_record_is_refused(tmp_path: Path) -> None:
    """With what to do."""
    with pytest.raises(UsageError, match="no result file"):
        folder.load_all([tmp_path])
