"""The folder of findings: whole or not at all, one folder for each cause, and what is damaged is named."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from stored_findings import CAUSE, SHOWN, SIGNATURE, draft, findings, new_finding, red_run

from harness.archive import read_run
from harness.explore.finding import UNREPRODUCED, StoredFinding, Tried, folder_name
from harness.explore.findings import FINDING, FOUND, MINIMAL, RUN, TIMELINE, Findings, read_finding
from harness.judge.judge import judge
from harness.values.errors import HarnessError
from harness.values.verdict import FAILED

STRICT = Tried("static-strict", "2.15.0+cpu", 0, 20)
BARE = Tried("static", "2.15.0+cpu", 0, 5)
LATER = ("without_faults", "found_with", "compared")


def stored(tmp_path: Path, **keys: Any) -> Findings:
    """A folder with one finding."""
    found = findings(tmp_path / "findings")
    found.add(new_finding(tmp_path / "runs", **keys))
    return found


# -- stored and read again ---------------------------------------------------------------------------------------


def test_a_finding_is_read_as_it_was_stored(tmp_path: Path) -> None:
    """With what its run says of versions, engine and seed, and when it was seen."""
    found = stored(tmp_path, explained_by="F05")
    found.compared(CAUSE, [STRICT], BARE)
    finding = found.read(CAUSE)
    assert (finding.cause, finding.signature, finding.failed, finding.of) == (CAUSE, SIGNATURE, 20, 20)
    assert (finding.subject, finding.torch, finding.python, finding.harness) == (
        "static", "2.15.0+cpu", "3.11.4", "0.1.0",
    )  # fmt: skip
    assert (finding.seed, finding.played_with, finding.breaks) == (7, 11, ("join",))
    assert (finding.first_seen, finding.last_seen, finding.seen) == (SHOWN, SHOWN, 1)
    assert (finding.explained_by, finding.unreproduced) == ("F05", False)
    assert (finding.tried, finding.without_faults, finding.found_with) == ((STRICT,), BARE, ())
    assert finding.ancestry == (draft("As it was found").id, draft().id)
    assert StoredFinding.from_json(json.loads(json.dumps(finding.to_json()))) == finding


def test_the_folder_has_both_scenarios_the_time_line_and_a_whole_run(tmp_path: Path) -> None:
    """The run can be read, shown and judged where it is, and its checksums are those of the original."""
    path = stored(tmp_path).path(CAUSE)
    assert sorted(os.listdir(path)) == sorted([FOUND, MINIMAL, FINDING, RUN, TIMELINE])
    assert (path / FOUND).read_text() == draft("As it was found").text
    assert (path / MINIMAL).read_text() == draft().text
    archived = read_run(path / RUN)
    assert archived.is_checked
    assert judge(archived.scenario, archived.history).status == FAILED
    subprocess.run(["sha256sum", "--check", "--quiet", "SHA256SUMS"], cwd=path / RUN, check=True)
    assert "rank 1" in (path / TIMELINE).read_text()


def test_a_cause_that_is_there_is_seen_once_more_and_not_stored_twice(tmp_path: Path) -> None:
    """All else stays as it was."""
    found = stored(tmp_path)
    later = Findings(found.folder, lambda: 1_800_000_060.0)
    later.add(new_finding(tmp_path / "runs", failed=15))
    finding = later.seen(CAUSE)
    assert found.names() == [CAUSE]
    assert (finding.first_seen, finding.last_seen, finding.seen) == (SHOWN, "2027-01-15T08:01:00Z", 3)
    assert (finding.failed, finding.found_with) == (20, ())
    assert found.read(CAUSE) == finding


def test_newer_tries_replace_older_ones_of_the_same_subject_and_torch(tmp_path: Path) -> None:
    """That is no new sight of it."""
    found = stored(tmp_path)
    newer, other = replace(STRICT, failed=3), replace(STRICT, torch="2.6.0")
    found.compared(CAUSE, [STRICT, other], BARE)
    finding = found.compared(CAUSE, [newer], None)
    assert (finding.tried, finding.without_faults, finding.seen) == ((newer, other), BARE, 1)
    assert found.read(CAUSE) == finding


def test_a_cause_that_another_subject_shows_too_is_a_finding_of_both(tmp_path: Path) -> None:
    """What a minimal scenario that was not played with it did stays unsaid."""
    found = stored(tmp_path)
    assert not found.read(CAUSE).is_of("echo")
    finding = found.add(replace(new_finding(tmp_path), run_dir=red_run(tmp_path / "echo", draft(), "echo", None)))
    assert (finding.found_with, finding.tried, finding.seen) == (("echo",), (), 2)
    assert finding.is_of("echo")
    assert finding.is_of("static")


def test_a_clock_that_was_set_back_does_not_make_it_last_seen_before(tmp_path: Path) -> None:
    """The newest time stays."""
    found = stored(tmp_path)
    assert Findings(found.folder, lambda: 1.0).seen(CAUSE).last_seen == SHOWN


def test_only_a_stored_cause_is_known(tmp_path: Path) -> None:
    """And nothing is made by asking."""
    found = findings(tmp_path / "findings")
    assert not found.known(CAUSE)
    assert not found.folder.exists()
    found.add(new_finding(tmp_path / "runs"))
    assert found.known(CAUSE)
    assert not found.known("another")


# -- seldom reproduced -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("failed", "of", "is_filed"), [(14, 20, False), (15, 20, True), (4, 4, True), (3, 3, False)])
def test_nothing_is_filed_below_a_lower_bound_of_one_half(failed: int, of: int, is_filed: bool, tmp_path: Path) -> None:
    """Of the 95 % Wilson interval: 14 of 20 has 0.48, 15 of 20 has 0.53; 3 of 3 has 0.44, 4 of 4 has 0.51."""
    found = stored(tmp_path, failed=failed, of=of)
    assert found.known(CAUSE) is is_filed
    assert found.names() == ([CAUSE] if is_filed else [])
    assert found.read(CAUSE, unreproduced=not is_filed).unreproduced is not is_filed
    assert found.path(CAUSE, unreproduced=not is_filed).is_dir()


def test_a_cause_that_was_not_reproduced_is_filed_once_it_is(tmp_path: Path) -> None:
    """Then it is not among the unreproduced any more; until then it is seen again there."""
    found = stored(tmp_path, failed=1)
    assert found.add(new_finding(tmp_path / "runs", failed=1)).seen == 2
    found.add(new_finding(tmp_path / "runs"))
    assert found.names() == [CAUSE]
    assert not found.path(CAUSE, unreproduced=True).exists()


def test_equal_keys_of_drafts_that_were_not_made_small_are_not_one_cause(tmp_path: Path) -> None:
    """Each signature and subject has a folder of its own, and is seen again there; confirmed ones are one."""
    found = stored(tmp_path, failed=0, of=0)
    other = new_finding(tmp_path / "runs", failed=0, of=0, signature=replace(SIGNATURE, message="another"))
    echo = new_finding(tmp_path / "runs", failed=0, of=0, run_dir=red_run(tmp_path / "echo", draft(), "echo", None))
    for new in (other, echo, other, echo):
        found.add(new)
    stored_ones = {(one.signature.message, one.subject): one for one in map(found.unfiled.read, found.unfiled.names())}
    assert {key: one.seen for key, one in stored_ones.items()} == {
        ("", "static"): 1,
        ("another", "static"): 2,
        ("", "echo"): 2,
    }
    found.add(replace(new_finding(tmp_path / "runs", cause="seldom", failed=8)))
    found.add(new_finding(tmp_path / "runs", cause="seldom", failed=7, signature=replace(SIGNATURE, message="another")))
    assert len(found.unfiled.names()) == 4


def test_what_another_subject_has_not_confirmed_is_no_sight_of_what_is_filed(tmp_path: Path) -> None:
    """It has a folder of its own; what the same subject has is seen once more."""
    found = stored(tmp_path)
    run_dir = red_run(tmp_path / "echo", draft(), "echo", None)
    assert found.add(new_finding(tmp_path / "runs", failed=0, of=0, run_dir=run_dir)).unreproduced
    assert (found.read(CAUSE).found_with, found.read(CAUSE).seen) == ((), 1)
    assert found.add(new_finding(tmp_path / "runs", failed=0, of=0)).seen == 2


def test_one_that_is_not_filed_takes_the_place_of_one_that_failed_more_seldom(tmp_path: Path) -> None:
    """How often it was seen, and when first, stays."""
    found = stored(tmp_path, failed=1)
    better = Findings(found.folder, lambda: 1_800_000_060.0).add(new_finding(tmp_path / "runs", failed=8))
    assert (better.failed, better.seen, better.first_seen, better.is_confirmed) == (8, 2, SHOWN, True)
    assert found.add(new_finding(tmp_path / "runs", failed=2)).failed == 8
    assert found.read(CAUSE, unreproduced=True).seen == 3


# -- whole or not at all -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("damage", ["gone", "changed"])
def test_a_run_that_is_gone_or_damaged_leaves_no_finding(damage: str, tmp_path: Path) -> None:
    """Nothing of the attempt stays in the folder."""
    found, new = findings(tmp_path / "findings"), new_finding(tmp_path / "runs")
    if damage == "gone":
        new = replace(new, run_dir=tmp_path / "nowhere")
    else:
        (new.run_dir / "history.jsonl").write_text("{}\n")
    with pytest.raises(HarnessError):
        found.add(new)
    assert not found.known(CAUSE)
    assert not found.folder.exists() or os.listdir(found.folder) == []


def test_a_folder_that_cannot_be_written_is_an_error_in_words(tmp_path: Path) -> None:
    """A file in its place."""
    (tmp_path / "findings").write_text("")
    with pytest.raises(HarnessError, match=r"cannot write .*; choose another --findings"):
        findings(tmp_path / "findings").add(new_finding(tmp_path / "runs"))


def test_a_finding_that_another_explorer_stores_meanwhile_is_seen_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two explorers share a folder: the second to give its folder the name updates the first's."""
    found = stored(tmp_path)
    monkeypatch.setattr(Findings, "known", lambda self, cause: False)
    monkeypatch.setattr(os.path, "lexists", later(os.path.lexists, found.path(CAUSE)))
    assert found.add(new_finding(tmp_path / "runs")).seen == 2
    assert os.listdir(found.folder) == [CAUSE]


def later(really: Callable[[Any], bool], path: Path) -> Callable[[Any], bool]:
    """`lexists` to which a path is not there at the first look."""
    looks: list[Any] = []

    def look(asked: Any) -> bool:
        if asked == path and not looks:
            looks.append(asked)
            return False
        return really(asked)

    return look


# -- hostile and damaged -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "cause",
    [
        "",
        ".",
        "..",
        "../../etc",
        "/etc/passwd",
        ".hidden",
        UNREPRODUCED,
        "a b",
        "a\nb",
        "x" * 5000,
        "\udcff",
        "ä",
        "-x",
    ],
)
def test_any_text_is_a_cause_and_its_folder_lies_in_the_folder_of_findings(cause: str, tmp_path: Path) -> None:
    """Whatever a cause key has in it, its folder has a name that every file system takes."""
    found = stored(tmp_path, cause=cause, ancestry=())
    path = found.path(cause)
    assert path.parent == found.folder
    assert path.name not in (".", "..", UNREPRODUCED)
    assert not path.name.startswith((".", "-"))
    assert len(os.fsencode(path.name)) <= 100
    assert found.names() == [path.name]
    assert found.read(cause) == found.read(path.name)
    assert (found.read(cause).cause, len(found.read(cause).ancestry)) == (cause, 2)


def test_different_causes_have_different_folders() -> None:
    """Also where all that differs is left out of the name."""
    causes = ["a b", "a  b", "a/b", "a-b", "A b", "x" * 200, "x" * 201]
    assert len(set(map(folder_name, causes))) == len(causes)


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("cause", 5, "cause is an integer, not a text"),
        ("cause", "another", "its cause 'another' is not that of its folder"),
        ("signature", [], "signature: a list where a mapping should be"),
        ("signature", {"check": "no_hang"}, "signature: verb is missing"),
        ("failed", 21, "failed is 21, and of is 20"),
        ("failed", -1, "failed is out of range"),
        ("of", "20", "of is a text, not an integer"),
        ("breaks", [1], "an item of breaks is an integer, not a text"),
        ("ancestry", "abc", "ancestry is a text, not a list"),
        ("ancestry", [], "ancestry is empty"),
        ("first_seen", "yesterday", "first_seen is 'yesterday', not a time"),
        ("seen", 0, "seen is out of range"),
        ("tried", [{"subject": "static"}], "tried: failed is missing"),
        ("without_faults", {"subject": "static"}, "without_faults: failed is missing"),
        ("found_with", [1], "an item of found_with is an integer, not a text"),
        ("unreproduced", "no", "unreproduced is not true or false"),
        ("format", 2, "format is 2, and this release reads 1"),
    ],
)
def test_a_damaged_field_is_named_with_its_file(field: str, value: Any, message: str, tmp_path: Path) -> None:
    """Every field is checked when it is read."""
    path = stored(tmp_path).path(CAUSE)
    row = {**json.loads((path / FINDING).read_text()), field: value}
    (path / FINDING).write_text(json.dumps(row))
    with pytest.raises(HarnessError, match=rf"finding\.json: {message}.*; delete its folder"):
        read_finding(path)


def test_every_field_must_be_there(tmp_path: Path) -> None:
    """`interval` is for people: it follows from the two numbers before it. Older releases did not write some."""
    path = stored(tmp_path).path(CAUSE)
    row = json.loads((path / FINDING).read_text())
    (path / FINDING).write_text(json.dumps({name: value for name, value in row.items() if name not in LATER}))
    assert read_finding(path).without_faults is None
    for field in row.keys() - {"interval", *LATER}:
        (path / FINDING).write_text(json.dumps({name: value for name, value in row.items() if name != field}))
        with pytest.raises(HarnessError, match=rf"finding\.json: {field} is missing"):
            read_finding(path)


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"null", b"\xff", b"[" * 5000])
def test_a_file_that_is_no_finding_is_named(content: bytes, tmp_path: Path) -> None:
    """Cut short, or written by something else; updating it is refused too, and leaves it alone."""
    found = stored(tmp_path)
    file = found.path(CAUSE) / FINDING
    file.write_bytes(content)
    with pytest.raises(HarnessError, match=r"finding\.json"):
        found.read(CAUSE)
    with pytest.raises(HarnessError, match=r"finding\.json"):
        found.add(new_finding(tmp_path / "runs"))
    assert file.read_bytes() == content


def test_a_folder_without_its_file_is_no_finding(tmp_path: Path) -> None:
    """Nor is one whose file is a link to another."""
    found = stored(tmp_path)
    file = found.path(CAUSE) / FINDING
    file.rename(tmp_path / "away")
    with pytest.raises(HarnessError, match=r"is not a finding .*; delete its folder"):
        found.read(CAUSE)
    file.symlink_to(tmp_path / "away")
    with pytest.raises(HarnessError, match=r"finding\.json: it is a symbolic link"):
        found.read(CAUSE)
