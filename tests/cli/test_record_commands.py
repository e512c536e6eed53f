"""The commands of the track record, with records made without playing and a runner that plays nothing."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from harness.campaign.source import Source
from harness.cli import environments, record_commands, recording
from harness.cli.entry import main
from harness.cli.recording import Request
from harness.judge.result import Result
from harness.play.options import RunOptions
from harness.record import folder
from harness.record.document import Results, merged
from harness.scenario.scenario import Scenario
from harness.values.errors import UsageError
from harness.values.history import History
from harness.values.verdict import FAILED, PASSED, Judgement, Verdict

NAME = "builtin:timeouts/a-missing-worker-is-named"


class Machine:
    """Torches by their interpreters, and a runner for each that plays nothing."""

    def __init__(self, breaks: dict[str, bool]) -> None:
        self.breaks = breaks
        self.played: list[tuple[str, str, int]] = []
        self.interrupted_after: int | None = None

    @property
    def environments(self) -> list[environments.Given]:
        return [environments.Given(torch, f"/{torch}") for torch in self.breaks]

    @contextmanager
    def runner(self, options: RunOptions) -> Iterator[Any]:
        torch = options.python.removeprefix("/")

        def run_source(source: Source) -> Iterator[Result]:
            results: list[Result] = []
            while (trials := source.next(results)) is not None:
                results = [
                    self._result(one.scenario, one.seed or one.attempt, torch, options.subject) for one in trials
                ]
                yield from results

        facts = SimpleNamespace(versions={"torch": f"{torch}+cpu"})
        yield SimpleNamespace(facts=facts, prepare=lambda scenario: None, run_source=run_source)

    def _result(self, scenario: Scenario, seed: int, torch: str, subject: str) -> Result:
        if len(self.played) == self.interrupted_after:
            raise KeyboardInterrupt
        self.played.append((torch, subject, seed))
        broken = self.breaks[torch]
        verdict = Verdict("named", FAILED if broken else PASSED)
        return Result(scenario, Judgement(verdict.status, "", (verdict,)), History(), None, 0.1, seed=seed)


def request(record: Path, repeat: int = 2) -> Request:
    return Request((Path(NAME),), ("static",), record, repeat)


def test_one_torch_after_the_other_is_played_and_a_next_call_has_nothing_to_do(tmp_path: Path) -> None:
    """The record has a file for each."""
    machine = Machine({"2.8.0": True, "2.9.0": False})
    for _ in range(2):
        assert recording.run(request(tmp_path), RunOptions(), machine.environments, machine.runner) == 0
    assert machine.played == [(torch, "static", seed) for torch in ("2.8.0", "2.9.0") for seed in (1, 2)]
    assert [path.name for path in folder.files(tmp_path)] == ["2.8.0+cpu.json", "2.9.0+cpu.json"]


def test_an_interrupted_run_goes_on(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With exit code 130, and a line that says so."""
    machine = Machine({"2.8.0": True})
    machine.interrupted_after = 3
    assert recording.run(request(tmp_path, 5), RunOptions(), machine.environments, machine.runner) == 130
    assert "goes on from there" in capsys.readouterr().err
    machine.interrupted_after = None
    assert recording.run(request(tmp_path, 5), RunOptions(), machine.environments, machine.runner) == 0
    assert sorted(seed for _, _, seed in machine.played) == [1, 2, 3, 4, 5]


def test_nothing_selected_is_a_code_of_its_own(tmp_path: Path) -> None:
    """As of `run`."""
    nothing = Request((Path(NAME),), ("static",), tmp_path, 1, names="nosuchcell")
    assert recording.run(nothing, RunOptions(), [], None) == 5


def test_bisect_prints_the_bracket(capsys: pytest.CaptureFixture[str]) -> None:
    """Whichever end is the good one; ends that agree have exit code 1."""
    machine = Machine({"2.6.0": True, "2.7.0": True, "2.8.0": False, "2.9.0": False})
    make, there = machine.runner, machine.environments
    assert recording.bisect(Path(NAME), ("2.9.0", "2.6.0"), 2, None, RunOptions(), there, make) == 0
    assert capsys.readouterr().out == "fixed in (2.7.0, 2.8.0]\n"
    assert recording.bisect(Path(NAME), ("2.9.0", "2.8.0"), 1, None, RunOptions(), there, make) == 1
    assert "both ends agree" in capsys.readouterr().out
    with pytest.raises(UsageError, match=r"torch 2\.5\.0 is not among those that can be played: 2\.6\.0"):
        recording.bisect(Path(NAME), ("2.9.0", "2.5.0"), 1, None, RunOptions(), there, make)


@pytest.fixture
def record(tmp_path: Path) -> Path:
    """Two torches that were played by a machine that plays nothing."""
    machine = Machine({"2.8.0": True, "2.9.0": False})
    recording.run(request(tmp_path / "record"), RunOptions(), machine.environments, machine.runner)
    return tmp_path / "record"


def test_diff_takes_torches_and_files(record: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With exit code 1 if they differ."""
    assert main(["record", "diff", "2.8.0", "2.9.0", "--record", str(record)]) == 1
    assert "static: timeouts/a-missing-worker-is-named: claims: breaks named -> kept" in capsys.readouterr().out
    file = str(folder.path_of(record, "2.8.0+cpu", "static"))
    assert main(["record", "diff", file, file]) == 0
    assert main(["record", "diff", "2.8.0", "2.9.9", "--record", str(record)]) == 2
    assert "it has 2.8.0+cpu, 2.9.0+cpu" in capsys.readouterr().err


@pytest.fixture
def nights(tmp_path: Path) -> tuple[str, str]:
    """Two records: the second lacks 2.7.0, has a change in 2.9.0, and has 2.10.0, which breaks what 2.9.0 keeps."""
    for night, breaks in (
        ("a", {"2.7.0": True, "2.8.0": True, "2.9.0": True}),
        ("b", {"2.8.0": True, "2.9.0": False, "2.10.0": True}),
    ):
        machine = Machine(breaks)
        recording.run(request(tmp_path / night), RunOptions(), machine.environments, machine.runner)
    return str(tmp_path / "a"), str(tmp_path / "b")


CELL = "timeouts/a-missing-worker-is-named"


def test_diff_of_two_nights_has_each_torch(nights: tuple[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    """Beside itself; one that is new beside its predecessor, and one that is gone is named."""
    assert main(["record", "diff", *nights]) == 1
    assert capsys.readouterr().out.splitlines() == [
        "torch 2.10.0+cpu: new",
        "torch 2.7.0+cpu: gone",
        f"static, torch 2.9.0+cpu: {CELL}: claims: breaks named -> kept",
        f"static, torch 2.10.0+cpu, which is new, after 2.9.0+cpu: {CELL}: claims: kept -> breaks named",
    ]
    assert main(["record", "diff", nights[0], nights[0]]) == 0
    assert main(["record", "diff", nights[0], "2.8.0", "--record", nights[1]]) == 2
    assert "name the file of one of them" in capsys.readouterr().err


def test_diff_is_a_page_for_the_summary_of_a_job(nights: tuple[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    """The same in Markdown, with a table for each torch that differs and one line for the others."""
    assert main(["record", "diff", *nights, "--format", "md"]) == 1
    page = capsys.readouterr().out
    assert "\nNew: torch 2.10.0+cpu.\n" in page
    assert "\nGone: torch 2.7.0+cpu.\n" in page
    assert f"## static, torch 2.9.0+cpu\n\n{HEAD}| {CELL} | all | claims | breaks named | kept |\n" in page
    assert "## static, torch 2.10.0+cpu, which is new, after 2.9.0+cpu\n" in page
    assert page.endswith("Nothing differs: static, torch 2.8.0+cpu.\n")
    assert main(["record", "diff", *nights, "--format", "html"]) == 2
    assert "there is text, md" in capsys.readouterr().err


HEAD = "| scenario | claim | what | before | after |\n| --- | --- | --- | --- | --- |\n"


def test_merge_adds_what_other_machines_have_played(record: Path, tmp_path: Path) -> None:
    """To what is there."""
    file = folder.path_of(record, "2.8.0+cpu", "static")
    results = folder.load(file)
    other = Results(
        torch=results.torch,
        subject="static",
        cells={"t/other": {"d": dict(results.cells[next(iter(results.cells))].popitem()[1])}},
    )
    folder.save(tmp_path / "b", other)
    assert main(["record", "merge", str(tmp_path / "b"), "--record", str(record)]) == 0
    assert folder.load(file) == merged(folder.load(file), other)
    assert set(folder.load(file).cells) == {"timeouts/a-missing-worker-is-named", "t/other"}


def test_show_prints_each_form(record: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """On standard output, or as files; another form is an error of usage."""
    shown = ["record", "show", NAME, "--record", str(record)]
    assert main([*shown, "--format", "json"]) == 0
    assert json.loads(capsys.readouterr().out)["torches"] == ["2.8.0", "2.9.0"]
    assert main([*shown, "--format", "html", "--output", str(tmp_path)]) == 0
    assert main([*shown, "--output", str(tmp_path)]) == 0
    assert sorted(path.name for path in tmp_path.glob("*.*")) == [
        "behaviour.md",
        "track-record.html",
        "track-record.md",
    ]
    assert main([*shown, "--format", "pdf"]) == 2


def test_the_folder_of_the_pages_is_made(record: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With those above it; where that cannot be, the error says why and what to do, and nothing is made."""
    shown = ["record", "show", NAME, "--record", str(record)]
    assert main([*shown, "--output", str(tmp_path / "site" / "pages")]) == 0
    assert sorted(path.suffix for path in (tmp_path / "site" / "pages").iterdir()) == [".md", ".md"]
    (tmp_path / "file").touch()
    capsys.readouterr()
    assert main([*shown, "--output", str(tmp_path / "file" / "pages")]) == 2
    said = capsys.readouterr().err
    assert said.startswith(f"error: cannot make {tmp_path / 'file' / 'pages'} (Not a directory); choose another")


def test_known_says_which_entries_the_record_confirms(record: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """None of this scenario names versions."""
    assert main(["record", "known", NAME, "--record", str(record)]) == 0
    assert capsys.readouterr().out == "no `known` entry names versions of torch\n"


def test_a_record_that_is_not_named_is_the_nearest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`.rdzv/record` if it is there, else the one that ships with the harness."""
    monkeypatch.chdir(tmp_path)
    assert record_commands.folder_of(None) == folder.OWN
    Path(".rdzv/record").mkdir(parents=True)
    assert record_commands.folder_of(None) == Path(".rdzv/record")


def test_run_without_a_torch_says_what_to_give(capsys: pytest.CaptureFixture[str]) -> None:
    """No traceback."""
    assert main(["record", "run", NAME]) == 2
    assert "--python PATH" in capsys.readouterr().err


INDEX = ("2.6.0", "2.7.0", "2.7.1", "2.9.1", "2.14.0", "2.15.0", "2.15.1", "2.16.0")


@pytest.mark.parametrize(
    ("words", "releases"),
    [
        (["2.6..2.7"], INDEX[:3]),
        (["2.7.1..2.15"], INDEX[2:7]),
        (["2.15.."], INDEX[5:]),
        (["..2.6"], INDEX[:1]),
        (["2.9.1,2.6..2.7.0"], ("2.9.1", "2.6.0", "2.7.0")),
        (["2.7..2.7", "2.7.0"], INDEX[1:3]),
    ],
)
def test_a_range_of_torches_is_what_the_index_has_of_it(words: list[str], releases: tuple[str, ...]) -> None:
    """Ends included; a release that comes later is in an open range without a change of code."""
    assert environments.named(words, lambda: INDEX) == list(releases)


def test_the_index_is_asked_for_ranges_only() -> None:
    """A release that is named may be installed already."""
    assert environments.named(["2.9.1"], lambda: pytest.fail("asked")) == ["2.9.1"]


@pytest.mark.parametrize("word", ["3.0..3.1", "two", "2.6..x", ""])
def test_a_range_that_is_none_is_refused(word: str) -> None:
    """With what to write."""
    with pytest.raises(UsageError):
        environments.named([word], lambda: INDEX)
