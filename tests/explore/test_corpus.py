"""The corpus on disk: what stays, what a kill leaves, what damage says, and who may use it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from harness.archive.files import Damaged
from harness.explore import corpus as corpus_module
from harness.explore import corpus_log
from harness.explore.corpus import Corpus
from harness.explore.draft import CANARY, CLEAN, MUTATION, UNIFORM, Draft
from harness.explore.observation import Observation
from harness.values.errors import HarnessError, UsageError


def draft(name: str = "a", lane: str = UNIFORM, steps: int = 1, **keys: Any) -> Draft:
    """A scenario of some steps; equal arguments give equal files."""
    document = {
        "schema": "rdzv-scenario/v1",
        "title": f"Draft {name}",
        "world": {"size": 2, "timeout": "1s"},
        "workload": [{"id": "join", "do": "rendezvous"}]
        + [{"id": f"s{n}", "do": "set", "ranks": 0, "key": "k", "value": "1"} for n in range(steps)],
        "expect": [{"step": "join", "is": "ok"}],
    }
    return Draft(document, lane, 7, "store", cells=("kill||worker|step set begun",), **keys)


def seen(of: Draft, features: Iterable[str], seconds: float = 1.0, status: str = "passed") -> Observation:
    return Observation(of, status, features=frozenset(features), seconds=seconds)


def files(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()} - {"corpus.jsonl", "corpus.lock"}


def log_of(folder: Path) -> list[Any]:
    return [json.loads(line) for line in (folder / "corpus.jsonl").read_text().splitlines()]


def state(corpus: Corpus) -> Any:
    """All that a session can ask."""
    entries = {entry.id: corpus.texts(entry) for entry in corpus.entries}
    return corpus.runs, corpus.seen, entries, corpus.discovery.to_json()


def test_the_first_of_a_feature_stays_and_goes_on_in_a_next_session(tmp_path: Path) -> None:
    """An entry is one scenario file and one line; a next session has it, with its draft as it was."""
    first = draft(parent="0123456789ab")
    with Corpus(tmp_path, "static", "2.15.0") as corpus:
        assert corpus.add(seen(first, {"x", "y"})) == {"x", "y"}
        assert corpus.add(seen(draft("b", steps=2), {"x"})) == frozenset()
        before = state(corpus)
    assert files(tmp_path) == {f"{first.id}.rdzv.yaml"}
    assert (tmp_path / f"{first.id}.rdzv.yaml").read_text() == first.text
    row = log_of(tmp_path)[1]
    assert row == {
        "run": first.id, "lane": "uniform", "seed": 7, "workload": "store", "parent": "0123456789ab",
        "cells": ["kill||worker|step set begun"], "seconds": 1.0, "size": len(first.text), "status": "passed",
        "subject": "static", "torch": "2.15.0", "kept": True, "new": ["x", "y"], "old": [],
    }  # fmt: skip
    with Corpus(tmp_path, "static", "2.15.0") as corpus:
        assert state(corpus) == before
        assert [row.id for row in corpus.recent] == [first.id, draft("b", steps=2).id]
        assert corpus.draft(first.id) == first
        assert corpus.new({"x", "z"}) == {"z"}


def test_the_cheaper_one_takes_its_place_and_its_file_goes(tmp_path: Path) -> None:
    """A clearly smaller or faster scenario takes over the features that it shows; one without a feature is deleted."""
    large, small, fast = draft("large", steps=12), draft("small"), draft("fast")
    with Corpus(tmp_path) as corpus:
        corpus.add(seen(large, {"x", "y"}))
        corpus.add(seen(small, {"x"}))
        assert files(tmp_path) == {f"{one.id}.rdzv.yaml" for one in (large, small)}
        corpus.add(seen(fast, {"x", "y"}, seconds=0.1))
        assert files(tmp_path) == {f"{fast.id}.rdzv.yaml"}
        before = state(corpus)
    with Corpus(tmp_path) as corpus:
        assert state(corpus) == before
        assert not corpus.notes


def test_a_little_cheaper_changes_nothing(tmp_path: Path) -> None:
    """A run that is a tenth faster brings no new file: times differ by chance."""
    with Corpus(tmp_path) as corpus:
        corpus.add(seen(draft("first"), {"x"}, seconds=1.0))
        corpus.add(seen(draft("other"), {"x"}, seconds=0.9))
        assert [entry.id for entry in corpus.entries] == [draft("first").id]


def test_only_the_uniform_lane_counts_for_the_discovery_rate(tmp_path: Path) -> None:
    """Runs that were chosen by what was seen before would bias it; their features are known all the same."""
    with Corpus(tmp_path) as corpus:
        corpus.add(seen(draft("a", MUTATION), {"x"}))
        corpus.add(seen(draft("b", CLEAN), {"y"}))
        corpus.add(seen(draft("c", UNIFORM), {"x", "z"}))
    with Corpus(tmp_path) as corpus:
        assert (corpus.runs, corpus.seen) == (3, 3)
        assert (corpus.discovery.n, corpus.discovery.seen) == (1, 2)


@pytest.mark.parametrize(("lane", "status"), [(CANARY, "failed"), (UNIFORM, "error")])
def test_what_says_nothing_about_the_subject_is_counted_without_features(
    tmp_path: Path, lane: str, status: str
) -> None:
    """The planted canary and an error of the harness have a line, but bring no feature, entry or count."""
    with Corpus(tmp_path) as corpus:
        assert corpus.add(seen(draft(lane=lane), {"x"}, status=status)) == frozenset()
        assert (corpus.runs, corpus.seen, corpus.entries, corpus.discovery.n) == (1, 0, (), 0)
    assert not files(tmp_path)


def test_subjects_and_torches_are_kept_apart(tmp_path: Path) -> None:
    """What one subject has shown is new for another one; a scenario that both need stays until neither does."""
    shared, fast = draft("shared"), draft("fast")
    with Corpus(tmp_path, "static", "2.6.0") as corpus:
        corpus.add(seen(shared, {"x"}))
    with Corpus(tmp_path, "static-strict", "2.6.0") as corpus:
        assert corpus.new({"x"}) == {"x"}
        assert corpus.runs == 0
        corpus.add(seen(shared, {"x"}))
        corpus.add(seen(fast, {"x"}, seconds=0.1))
        assert [entry.id for entry in corpus.entries] == [fast.id]
        assert files(tmp_path) == {f"{one.id}.rdzv.yaml" for one in (shared, fast)}
    with Corpus(tmp_path, "static", "2.6.0") as corpus:
        assert corpus.draft(shared.id) == shared


ROUNDS = st.lists(
    st.tuples(
        st.integers(0, 5), st.sampled_from([UNIFORM, MUTATION, CANARY]), st.frozensets(st.sampled_from("uvwxyz")),
        st.sampled_from([0.1, 1.0, 7.0]), st.sampled_from(["static", "static-strict"]),
    ),
    max_size=12,
)  # fmt: skip


@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(rounds=ROUNDS)
def test_a_next_session_knows_what_the_last_one_knew(
    rounds: list[Any], tmp_path_factory: pytest.TempPathFactory
) -> None:
    """After any runs, what is read from the disk is what was there before it was closed, file for file."""
    folder = tmp_path_factory.mktemp("corpus")
    for number, lane, features, seconds, subject in rounds:
        with Corpus(folder, subject) as corpus:
            corpus.add(seen(draft(str(number), lane, steps=number), features, seconds))
            before, kept = state(corpus), files(folder)
        with Corpus(folder, subject) as corpus:
            assert state(corpus) == before
            assert files(folder) == kept
            assert not corpus.notes
            assert all(corpus.draft(entry.id) is not None for entry in corpus.entries)


@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_a_kill_at_any_byte_loses_at_most_the_last_line(
    data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """A log that was cut anywhere in its last line is read without it, with a note, and goes on."""
    folder = tmp_path_factory.mktemp("corpus")
    with Corpus(folder) as corpus:
        corpus.add(seen(draft("a"), {"x"}))
        before = state(corpus)
        whole = (folder / "corpus.jsonl").stat().st_size
        corpus.add(seen(draft("b"), {"x", "y"}))
    cut = data.draw(st.integers(whole, (folder / "corpus.jsonl").stat().st_size - 1))
    os.truncate(folder / "corpus.jsonl", cut)
    with Corpus(folder) as corpus:
        assert state(corpus) == before
        assert files(folder) == {f"{draft('a').id}.rdzv.yaml"}
        assert [note for note in corpus.notes if "cut short" in note] == corpus.notes
        assert bool(corpus.notes) == (cut > whole)
        assert corpus.add(seen(draft("b"), {"x", "y"})) == {"y"}
    with Corpus(folder) as corpus:
        assert corpus.runs == 2
        assert not corpus.notes


def test_a_killed_explorer_leaves_a_corpus_that_goes_on(tmp_path: Path) -> None:
    """The lock of a process that was killed is free, and every run that it had logged is there."""
    program = (
        "import os, signal, sys; from pathlib import Path; sys.path.insert(0, sys.argv[2])\n"
        "from test_corpus import Corpus, draft, seen\n"
        "corpus = Corpus(Path(sys.argv[1]))\n"
        "corpus.add(seen(draft('a'), {'x'}))\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    command = [sys.executable, "-c", program, str(tmp_path), str(Path(__file__).parent)]
    assert subprocess.run(command, timeout=60).returncode == -9
    with Corpus(tmp_path) as corpus:
        assert corpus.runs == 1
        assert corpus.draft(draft("a").id) == draft("a")


def test_a_second_explorer_is_refused(tmp_path: Path) -> None:
    """While one uses the folder, another one gets a sentence that says what to do; afterwards it may."""
    with Corpus(tmp_path), pytest.raises(UsageError, match=r"another explorer uses the corpus in .*--corpus"):
        Corpus(tmp_path)
    with Corpus(tmp_path) as corpus:
        assert corpus.runs == 0


@pytest.mark.parametrize(
    ("damage", "line", "what"),
    [
        (lambda lines: [*lines[:1], "{", *lines[1:]], 2, "not a line of a corpus"),
        (lambda lines: [*lines, '{"run": "xyz"}'], 4, "not an id"),
        (lambda lines: [*lines[:2], lines[2].replace('"old":[0]', '"old":[9]')], 3, "no line above has named"),
        (lambda lines: [*lines[:2], lines[2].replace('"uniform"', '"sideways"')], 3, "lane is 'sideways'"),
        (lambda lines: [*lines[:2], lines[2].replace('"seconds":1.0', '"seconds":NaN')], 3, "seconds is not a number"),
        (lambda lines: [*lines, '{"summary": []}'], 4, "a list where a mapping should be"),
        (lambda lines: [*lines, "[" * 5000], 4, "levels"),
    ],
)  # fmt: skip
def test_damage_is_an_error_with_its_line_and_what_to_do(tmp_path: Path, damage: Any, line: int, what: str) -> None:
    """Any other damage than a line cut short at the end names file and line, and how to begin anew."""
    with Corpus(tmp_path) as corpus:
        corpus.add(seen(draft("a"), {"x"}))
        corpus.add(seen(draft("b"), {"x"}))
    path = tmp_path / "corpus.jsonl"
    path.write_text("\n".join(damage(path.read_text().splitlines())) + "\n")
    with pytest.raises(Damaged) as error:
        Corpus(tmp_path)
    assert f"{path}:{line}: " in str(error.value)
    assert what in str(error.value)
    assert f"delete {tmp_path} to begin a new corpus" in str(error.value)
    path.unlink()
    with Corpus(tmp_path) as corpus:
        assert corpus.runs == 0


def test_a_log_of_another_release_is_refused(tmp_path: Path) -> None:
    """It is neither read nor changed."""
    path = tmp_path / "corpus.jsonl"
    path.write_text('{"schema": "rdzv-corpus/v9"}\nwhat comes then\n')
    with pytest.raises(UsageError, match="another release"):
        Corpus(tmp_path)
    assert "what comes then" in path.read_text()


@pytest.mark.parametrize("text", ["", "title: other\n", "a: [1\n", "\0", "- 1\n", "x: &a [*a]\n", "d: " + "[" * 3000])
def test_a_broken_entry_is_reported_and_left_out(tmp_path: Path, text: str) -> None:
    """A file that was changed, does not load or is no YAML is a note, and its feature is open for another one."""
    with Corpus(tmp_path) as corpus:
        corpus.add(seen(draft("a"), {"x"}))
        path = tmp_path / f"{draft('a').id}.rdzv.yaml"
        path.write_text(text)
        assert corpus.draft(draft("a").id) is None
        assert [str(path) in note for note in corpus.notes] == [True]
        assert corpus.entries == ()
        assert corpus.add(seen(draft("b", steps=3), {"x"})) == frozenset()
        assert corpus.draft(draft("b", steps=3).id) is not None
        with pytest.raises(KeyError):
            corpus.draft(draft("a").id)


def test_an_entry_whose_file_is_gone_is_reported(tmp_path: Path) -> None:
    """Its features stay known, and the next scenario that shows them is kept."""
    with Corpus(tmp_path) as corpus:
        corpus.add(seen(draft("a"), {"x"}))
        corpus.add(seen(draft("b"), {"y"}))
    (tmp_path / f"{draft('a').id}.rdzv.yaml").unlink()
    with Corpus(tmp_path) as corpus:
        assert [draft("a").id in note for note in corpus.notes] == [True]
        assert [entry.id for entry in corpus.entries] == [draft("b").id]
        assert corpus.new({"x", "y"}) == frozenset()
        corpus.add(seen(draft("c"), {"x"}))
        assert len(corpus.entries) == 2


def test_files_of_others_stay(tmp_path: Path) -> None:
    """Only what is named as the corpus names its own is ever deleted."""
    (tmp_path / "mine.rdzv.yaml").write_text("x")
    (tmp_path / "0123456789ab.rdzv.yaml").write_text("from a run whose line was never written")
    with Corpus(tmp_path):
        assert files(tmp_path) == {"mine.rdzv.yaml"}


def test_a_long_log_is_shortened_and_says_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Past its bound the log has counts and entries only; the session, and a next one, know what they knew."""
    monkeypatch.setattr(corpus_log, "MOST_BYTES", 3000)
    twins = [tmp_path / "long", tmp_path / "short"]
    for folder in twins:
        with Corpus(folder, "static-strict", "2.15.0") as corpus:
            corpus.add(seen(draft("other"), {"x", "other"}))
        for part in range(2):
            if folder == twins[0]:
                monkeypatch.setattr(corpus_log, "MOST_BYTES", 1 << 20)
            with Corpus(folder, "static", "2.15.0") as corpus:
                for number in range(20):
                    features = {"x", f"f{number % 7}", f"g{number}" if part else "x"}
                    corpus.add(seen(draft(str(number), steps=number % 3), features))
        monkeypatch.setattr(corpus_log, "MOST_BYTES", 3000)
    long, short = ((folder / "corpus.jsonl").stat().st_size for folder in twins)
    assert short < long
    assert any("summary" in row for row in log_of(twins[1]))
    for subject in ("static", "static-strict"):
        known = []
        for folder in twins:
            with Corpus(folder, subject, "2.15.0") as corpus:
                assert not corpus.notes
                known.append((corpus.runs, corpus.seen, corpus.discovery.richness, corpus.discovery.chance_of_new))
                assert all(corpus.draft(entry.id) is not None for entry in corpus.entries)
                shown = {text for entry in corpus.entries for text in corpus.texts(entry)}
                assert len(shown) == corpus.seen
        assert known[0] == known[1]


def test_the_number_of_entries_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Past its bound the entry with the fewest features goes, with its file."""
    monkeypatch.setattr(corpus_module, "MOST_ENTRIES", 2)
    with Corpus(tmp_path) as corpus:
        corpus.add(seen(draft("a"), {"a1", "a2"}))
        corpus.add(seen(draft("b"), {"b1"}))
        corpus.add(seen(draft("c"), {"c1", "c2"}))
        assert {entry.id for entry in corpus.entries} == {draft("a").id, draft("c").id}
        assert len(files(tmp_path)) == 2


def test_the_number_of_features_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Past its bound a new feature is not remembered, and nothing else changes."""
    monkeypatch.setattr(corpus_module, "MOST_FEATURES", 3)
    with Corpus(tmp_path) as corpus:
        corpus.add(seen(draft("a"), {"a", "b"}))
        corpus.add(seen(draft("b"), {"a", "c", "d", "e"}))
        assert corpus.seen == 3
    with Corpus(tmp_path) as corpus:
        assert (corpus.runs, corpus.seen) == (2, 3)


def test_a_folder_that_cannot_be_used_is_refused(tmp_path: Path) -> None:
    """A file in its place is an error that says what to do."""
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="--corpus"):
        Corpus(tmp_path / "file")


def test_a_full_disk_leaves_no_half_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A line that the system refuses is an error, nothing of it stays, and the corpus goes on."""
    write = os.write

    def half(descriptor: int, content: bytes) -> int:
        if content.startswith(b'{"run"'):
            write(descriptor, content[:20])
            raise OSError(28, "No space left on device")
        return write(descriptor, content)

    with Corpus(tmp_path) as corpus:
        corpus.add(seen(draft("a"), {"x"}))
        with monkeypatch.context() as patched:
            patched.setattr(os, "write", half)
            with pytest.raises(HarnessError, match=r"No space left.*free some space"):
                corpus.add(seen(draft("b"), {"y"}))
        assert corpus.new({"y"}) == {"y"}
        assert corpus.add(seen(draft("b"), {"y"})) == {"y"}
    with Corpus(tmp_path) as corpus:
        assert corpus.runs == 2
        assert not corpus.notes
