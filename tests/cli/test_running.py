"""`run` with a runner that plays nothing: what is selected, reported, and returned."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from harness.cli import running, selecting
from harness.cli.reporting import ReportChoice
from harness.cli.running import Request
from harness.judge.result import Result
from harness.play.options import RunOptions
from harness.reports import console as console_module
from harness.reports.junit import JUnitReport
from harness.scenario.scenario import Scenario, Step, World
from harness.values.errors import HarnessError, UsageError
from harness.values.history import History
from harness.values.ops import Op, Process
from harness.values.verdict import FAILED, KNOWN, PASSED, STATUSES, Judgement

HIDDEN, SHOWN = "\x1b[?25l", "\x1b[?25h"  # what a terminal does with its cursor
OPTIONS = RunOptions(runs_dir=Path("no/such/folder"))


def cell(name: str, folder: str = "timeouts", tags: tuple[str, ...] = (), **cell: str) -> Scenario:
    join = Step("join", "rendezvous", (0, 1), {})
    path = Path(f"scenarios/{folder}/{name}.rdzv.yaml")
    return Scenario(path, name, World(2, 10**9), (join,), tags=tags, cell=tuple(cell.items()))


CELLS = [
    cell("late-worker", tags=("join", "slow")),
    cell("late-master", tags=("join",)),
    cell("late", "latency", ("links",), cut="1B"),
    cell("late", "latency", ("links",), cut="2B"),
]


class FakeRunner:
    """Answers with the statuses it was given, in turn; an exception among them is raised."""

    def __init__(self, answers: Sequence[str | BaseException]) -> None:
        self.answers = list(answers)
        self.asked: list[Any] = []
        self.left = False

    def __call__(self, options: Any) -> FakeRunner:
        return self

    def __enter__(self) -> FakeRunner:
        return self

    def __exit__(self, *_: object) -> None:
        self.left = True

    def run(self, cells: Sequence[Scenario], repeat: int, until_fail: bool, observer: Any) -> Iterator[Result]:
        self.asked.append(([cell.id for cell in cells], repeat, until_fail))
        turns = [(attempt, cell) for attempt in range(1, repeat + 1) for cell in cells]
        for answer, (attempt, scenario) in zip(self.answers, turns, strict=False):
            observer.started(scenario, attempt)
            if isinstance(answer, BaseException):
                raise answer
            yield result_of(scenario, answer, attempt)


def result_of(scenario: Scenario, status: str, attempt: int = 1) -> Result:
    ops = [Op(number, Process(None, "controller"), "ok", "begin", value={"subject": "echo"}) for number in range(3)]
    return Result(scenario, Judgement(status, "because"), History.of(ops), Path("r"), 0.1, attempt, command="again")


Play = Callable[..., tuple[int, FakeRunner]]


@pytest.fixture
def play(monkeypatch: pytest.MonkeyPatch) -> Play:
    """Run with these answers; returns the exit code and the runner."""
    monkeypatch.setattr(running, "load_all", lambda paths, job=False: CELLS)

    def play(answers: Sequence[str | BaseException], **request: Any) -> tuple[int, FakeRunner]:
        runner = FakeRunner(answers)
        return running.run(Request((Path("scenarios"),), **request), OPTIONS, runner), runner

    return play


@pytest.mark.parametrize(
    ("answers", "code"),
    [([PASSED, KNOWN, "skipped"], 0), ([PASSED, FAILED], 1), (["error", FAILED], 3), (["vacuous"], 4)],
)
def test_the_worst_result_is_the_exit_code(play: Play, answers: list[str], code: int) -> None:
    """As the table of exit codes says."""
    assert play(answers)[0] == code


def test_a_skipped_cell_fails_the_run_if_that_is_asked_for(play: Play, capsys: pytest.CaptureFixture[str]) -> None:
    """With the count on standard error; what is worse than a failure stays what it is."""
    assert play([PASSED, "skipped"], fail_on_skip=True)[0] == 1
    assert "error: 1 of 2 skipped, and --fail-on-skip is given" in capsys.readouterr().err
    assert play([PASSED, KNOWN], fail_on_skip=True)[0] == 0
    assert capsys.readouterr().err == ""
    assert play(["vacuous", "skipped"], fail_on_skip=True)[0] == 1
    assert play(["error", "skipped"], fail_on_skip=True)[0] == 3


def test_nothing_selected_is_a_code_of_its_own(play: Play, capsys: pytest.CaptureFixture[str]) -> None:
    """A typing mistake in -k must not look like a green run."""
    code, runner = play([PASSED], names="nosuchcell")
    assert (code, runner.asked) == (5, [])
    assert "nothing selected" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("tags", "names", "chosen"),
    [
        (None, None, ["late-worker", "late-master", "late[cut=1B]", "late[cut=2B]"]),
        ("join", None, ["late-worker", "late-master"]),
        ("join and not slow", None, ["late-master"]),
        ("links,slow", None, ["late-worker", "late[cut=1B]", "late[cut=2B]"]),
        (None, "late[cut=2B]", ["late[cut=2B]"]),
        (None, "late", ["late[cut=1B]", "late[cut=2B]"]),
        (None, "late-", ["late-worker", "late-master"]),
        (None, "LATENCY/ and not 1b", ["late[cut=2B]"]),
        (None, "worker or cut=1", ["late-worker", "late[cut=1B]"]),
        ("join", "worker or cut", ["late-worker"]),
        ("slo", None, []),
    ],
)
def test_tags_and_names_choose_cells(tags: str | None, names: str | None, chosen: list[str]) -> None:
    """Tags match whole; words of -k match parts of folder and id; a whole id or name chooses just that."""
    assert [one.id for one in selecting.select(CELLS, tags, names)] == chosen


def test_repeat_and_until_fail_are_handed_on(play: Play) -> None:
    """Without a number, until-fail plays for long."""
    assert play([PASSED], names="late-worker", repeat=3)[1].asked == [(["late-worker"], 3, False)]
    assert play([PASSED], names="late-worker", until_fail=True)[1].asked == [
        (["late-worker"], running.UNTIL_FAIL_RUNS, True)
    ]


def test_repetitions_are_reported_with_an_interval(play: Play, capsys: pytest.CaptureFixture[str]) -> None:
    """k of N for the cell."""
    code, _ = play([PASSED] * 19 + [FAILED], names="late-worker", repeat=20)
    assert code == 1
    assert "19 of 20 passed (95 % interval 76.4 % to 99.1 %)" in " ".join(capsys.readouterr().out.split())


def test_repetitions_keep_the_histories_of_red_runs_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """Thousands of good runs must fit into memory; their first operation is kept."""
    kept = [running._slim(result_of(CELLS[0], status)) for status in STATUSES]
    assert {one.status: len(one.history) for one in kept} == {
        "passed": 1, "failed": 3, "vacuous": 3, "error": 3, "known failure": 1, "skipped": 1,
    }  # fmt: skip


def test_an_interrupt_still_reports(play: Play, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """Exit code 130, the runner left properly, and every report has what ended."""
    code, runner = play([FAILED, KeyboardInterrupt()], reports=(ReportChoice("json", tmp_path / "r.json"),))
    assert (code, runner.left) == (130, True)
    assert "interrupted, the rest was not played" in capsys.readouterr().out
    document = json.loads((tmp_path / "r.json").read_text())
    assert document["meta"]["interrupted"] is True
    assert [row["status"] for row in document["results"]] == [FAILED]


def test_a_harness_error_in_the_middle_still_reports(play: Play, capsys: pytest.CaptureFixture[str]) -> None:
    """What ended before is reported, the error too, and the code is 3 even if the rest was green."""
    code, _ = play([PASSED, HarnessError("no controller came up; run the doctor")])
    said = capsys.readouterr()
    assert code == 3
    assert "1 cell: 1 passed" in said.out
    assert said.err == "error: no controller came up; run the doctor\n"


def test_a_usage_error_of_the_runner_is_not_reported_as_a_run(play: Play, capsys: pytest.CaptureFixture[str]) -> None:
    """It goes to the caller, who prints it and exits 2."""
    with pytest.raises(UsageError, match="no torch"):
        play([UsageError("no torch")])
    assert "passed" not in capsys.readouterr().out


class Unstarted(FakeRunner):
    """Fails before its first play, once the screen shows that it starts."""

    def __init__(self, error: BaseException, screen: io.StringIO) -> None:
        super().__init__([])
        self.error, self.screen = error, screen
        self.shown = ""

    def __enter__(self) -> FakeRunner:
        self.shown = self.screen.getvalue()
        raise self.error


@pytest.mark.parametrize(
    "error", [UsageError("no torch"), HarnessError("no memory"), KeyboardInterrupt(), ValueError()]
)
def test_a_failure_before_the_first_play_leaves_no_hidden_cursor(
    play: Play, monkeypatch: pytest.MonkeyPatch, error: BaseException
) -> None:
    """However the run ends, the terminal is as before; until then it shows what takes so long."""
    screen = io.StringIO()
    terminal = Console(file=screen, width=80, height=24, force_terminal=True, color_system=None)
    monkeypatch.setattr(console_module, "terminal", lambda stderr=False: terminal)
    runner = Unstarted(error, screen)
    with suppress(UsageError, ValueError):
        running.run(Request((Path("scenarios"),)), OPTIONS, runner)
    assert "starting: importing torch ..." in runner.shown
    assert HIDDEN in runner.shown
    assert screen.getvalue().count(SHOWN) == screen.getvalue().count(HIDDEN) == 1
    assert screen.getvalue().index(HIDDEN) < screen.getvalue().index(SHOWN)


def test_a_report_that_cannot_be_written_is_an_error_not_a_loss(
    play: Play, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The other reports are written, and the exit code shows the error."""

    def full(path: Path, *_: Any, **__: Any) -> int:
        raise OSError(28, "No space left on device")

    class Filling(FakeRunner):
        def __exit__(self, *_: object) -> None:
            monkeypatch.setattr(Path, "write_text", full)

    runner = Filling([PASSED])
    reports = (ReportChoice("junit", tmp_path / "j.xml"), ReportChoice("json", tmp_path / "j.json"))
    request = Request((Path("scenarios"),), reports=reports)
    assert running.run(request, OPTIONS, runner) == 3


@pytest.mark.parametrize("moment", ["started", "finished"])
def test_a_report_that_fails_meanwhile_stops_neither_run_nor_other_reports(
    play: Play, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], moment: str
) -> None:
    """The disk of one is full: its error is said once, all results are in the other, and the code is 3."""

    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(JUnitReport, moment, full)
    reports = (ReportChoice("junit", tmp_path / "j.xml"), ReportChoice("json", tmp_path / "r.json"))
    assert play([PASSED, PASSED, FAILED], reports=reports)[0] == 3
    assert json.loads((tmp_path / "r.json").read_text())["meta"]["counts"]["passed"] == 2
    assert capsys.readouterr().err.count("cannot write the report junit=") == 1


def test_a_defect_in_the_middle_still_reports(play: Play, tmp_path: Path) -> None:
    """What ended before it is written; then the defect goes to the caller."""
    with pytest.raises(RuntimeError, match="a defect"):
        play([PASSED, RuntimeError("a defect")], reports=(ReportChoice("json", tmp_path / "r.json"),))
    assert json.loads((tmp_path / "r.json").read_text())["meta"]["counts"]["passed"] == 1


def test_an_unwritable_report_is_refused_before_anything_is_played(play: Play, tmp_path: Path) -> None:
    """An hour of results must not be lost to a typing mistake."""
    with pytest.raises(UsageError, match="cannot write a report"):
        play([PASSED], reports=(ReportChoice("junit", tmp_path),))


@pytest.mark.parametrize(("subject", "command", "good"), [
    ("static", (), True), ("command", ("true",), True), ("command", (), True), ("echo", ("true",), False),
])  # fmt: skip
def test_the_words_behind_two_hyphens_belong_to_the_subject_command(
    subject: str, command: tuple[str, ...], good: bool
) -> None:
    """No other subject takes them; `command` may have its program in the file."""
    if good:
        selecting.check_subject(subject, command)
        return
    with pytest.raises(UsageError):
        selecting.check_subject(subject, command)
