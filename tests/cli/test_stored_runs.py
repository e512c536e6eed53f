"""Which stored run a word means: the newest, the one before, a name, a path."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from harness.cli import looking, main, picturing, stored_runs
from harness.cli.command import without_numbers
from harness.values.errors import UsageError

LATE, CUT_1, CUT_2, AGAIN = (
    "20261202-191413-981-a-late-worker",
    "20261202-191414-170-a-cut=1B",
    "20261202-191414-299-a-cut=2B",
    "20261202-191415-001-a-late-worker",
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Four runs, one of them not judged; beside them what is no run."""
    folder = tmp_path / "runs"
    for name in (LATE, CUT_1, CUT_2, AGAIN):
        (folder / name).mkdir(parents=True)
        (folder / name / "run.json").write_text("{}")
    for name in (LATE, CUT_1):
        (folder / name / "verdict.json").write_text(json.dumps({"status": "failed"}))
    (folder / CUT_2 / "verdict.json").write_text("no JSON")
    (folder / ".pruned-1").mkdir()
    (folder / "99999999-no-run").mkdir()
    return folder


@pytest.mark.parametrize(
    ("word", "name"),
    [
        ("latest", AGAIN),
        ("latest~1", CUT_2),
        (LATE, LATE),
        (LATE[:17], LATE),
        ("a-late-worker", AGAIN),
        ("a-late", AGAIN),
        ("a-cut=1B", CUT_1),
    ],
)
def test_a_word_means_a_run(word: str, name: str, folder: Path) -> None:
    """By its age, its name or how that begins; of the runs of one scenario it is the newest."""
    assert stored_runs.find(word, folder) == folder / name


def test_a_path_is_taken_as_it_is(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also one that has the name of a run."""
    monkeypatch.chdir(tmp_path)
    Path("latest").mkdir()
    assert stored_runs.find(str(tmp_path), folder) == tmp_path
    assert stored_runs.find("latest", folder) == Path("latest")


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("latest~4", "-5: there are 4 runs in "),
        ("a-cut", f"2 runs in FOLDER begin so, {CUT_2} and {CUT_1} among them; write more of the name"),
        ("a-late-wroker", "did you mean a-late-worker?"),
        ("latset", "did you mean latest?"),
        ("x", f"no such run in FOLDER; the newest is {AGAIN}, and `show` lists them"),
        ("", "there is no such file or folder"),
    ],
)
def test_a_word_that_means_none_is_refused_with_what_there_is(word: str, said: str, folder: Path) -> None:
    """The nearest name, or where the names are."""
    with pytest.raises(UsageError) as caught:
        stored_runs.find(word, folder)
    assert said.replace("FOLDER", str(folder)) in str(caught.value)


@pytest.mark.parametrize("word", ["latest", "nosuch"])
def test_without_a_run_the_advice_is_to_play(word: str, tmp_path: Path) -> None:
    """Whichever is asked for, in a folder that does not exist."""
    with pytest.raises(UsageError, match=r"no run in .*; `rdzv-harness run PATH` plays some"):
        stored_runs.find(word, tmp_path / "nowhere")


def test_show_without_a_run_says_which_there_are(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The newest last, each with its number and how it ended; exit code 2 if there is none."""
    assert main(["show", "--runs-dir", str(folder)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[:5] == [
        f"  -4  failed      {LATE}",
        f"  -3  failed      {CUT_1}",
        f"  -2  not judged  {CUT_2}",
        f"  -1  not judged  {AGAIN}",
        "",
    ]
    assert "`rdzv-harness show latest` shows the last" in lines[5]
    assert main(["show", "--runs-dir", str(folder / "nowhere")]) == 2


def test_a_long_list_ends_with_the_newest(tmp_path: Path) -> None:
    """A screen of them, and how many there are."""
    for number in range(30):
        (tmp_path / f"run-{number:02}").mkdir()
        (tmp_path / f"run-{number:02}" / "run.json").write_text("{}")
    *rows, _, last = stored_runs.lines(tmp_path)
    assert [row.split()[-1] for row in rows] == [f"run-{number}" for number in range(10, 30)]
    assert "the newest 20 of 30" in last


@pytest.mark.parametrize("command", ["show", "judge", "html"])
def test_a_negative_number_is_a_run_and_no_option(command: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before and behind options, for every command that takes runs; the value of an option stays one."""
    shown: list[Path] = []
    monkeypatch.setattr(looking, "show", lambda run_dir, wish: shown.append(run_dir) or 0)
    monkeypatch.setattr(picturing, "html", lambda words, *rest: shown.append(stored_runs.find(words[0], rest[-1])) or 0)
    monkeypatch.setattr(looking, "judge_again", lambda words, at: shown.append(stored_runs.find(words[0], at)) or 0)
    assert main([command, "-2", "--runs-dir", str(folder)]) == 0
    assert main([command, "--runs-dir", str(folder), "-1"]) == 0
    assert shown == [folder / CUT_2, folder / AGAIN]


def test_a_number_behind_an_option_is_its_value() -> None:
    """So a mistake is said with the word that was written."""
    words = ["-2", "--lines", "-3", "-1", "--open", "-4", "-0", "x-1"]
    assert list(without_numbers(words, {"--lines"})) == [
        "latest~1", "--lines", "-3", "latest", "--open", "latest~3", "-0", "x-1",
    ]  # fmt: skip


def test_a_run_that_is_not_there_stops_no_other(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`judge` and `html` name each, and go on with the others."""
    assert main(["judge", "nosuch", "-9", "--runs-dir", str(folder)]) == 2
    assert main(["html", "nosuch", "-9", "--runs-dir", str(folder), "-o", str(folder / "page.html")]) == 2
    said = capsys.readouterr().err
    assert (said.count("nosuch: there is no"), said.count("-9: there are 4 runs")) == (2, 2)
