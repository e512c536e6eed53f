"""`--last-failed`, `--shard`, `--fail-fast`, `--durations`: what is played, when it ends, what is said."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from test_running import CELLS, FakeRunner, result_of

from harness.cli import last_failed, main, running, shards
from harness.cli.reporting import ReportChoice
from harness.cli.running import Request
from harness.cli.shards import Shard
from harness.play.options import RunOptions
from harness.reports.parts import durations
from harness.scenario.scenario import Scenario
from harness.values.errors import HarnessError, UsageError
from harness.values.verdict import ERROR, FAILED, KNOWN, PASSED, SKIPPED, VACUOUS

ALL = [cell.id for cell in CELLS]


class Run:
    """Runs of four cells that share a folder of run directories."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.options = RunOptions(runs_dir=folder)

    def __call__(self, answers: list[Any], **request: Any) -> tuple[int, list[str]]:
        """The exit code, and what was to be played."""
        runner = FakeRunner(answers)
        code = running.run(Request((Path("scenarios"),), **request), self.options, runner)
        assert runner.left or not runner.asked
        return code, runner.asked[0][0] if runner.asked else []


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.setattr(running, "load_all", lambda paths, job=False: CELLS)
    monkeypatch.setattr(last_failed.os.path, "lexists", lambda path: True)
    return Run(tmp_path)


# -- --last-failed -----------------------------------------------------------------------------------------------------


def test_only_what_was_red_is_played_again(run: Run) -> None:
    """Failed, error and vacuous; a cell that is played and no longer red is forgotten, another is kept."""
    run([FAILED, PASSED, ERROR, VACUOUS])
    assert run([FAILED, PASSED, KNOWN], last_failed=True)[1] == [ALL[0], ALL[2], ALL[3]]
    assert run([PASSED], names="late-master")[1] == [ALL[1]]
    assert run([SKIPPED], last_failed=True)[1] == [ALL[0]]
    assert run([PASSED], last_failed=True)[1] == [ALL[0]]
    assert last_failed.read(run.folder) == frozenset()


def test_one_red_repetition_is_enough(run: Run) -> None:
    """Whatever the others were."""
    run([FAILED, PASSED, PASSED], names="late-worker", repeat=3)
    assert run([PASSED], last_failed=True)[1] == ["late-worker"]


def test_where_nothing_was_red_all_is_played_and_said(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    """Also before the first run, and where the file is damaged."""
    assert run([PASSED] * 4, last_failed=True) == (0, ALL)
    (run.folder / last_failed.FILE).write_text("[[1, 2], 3")
    assert run([PASSED] * 4, last_failed=True) == (0, ALL)
    assert capsys.readouterr().err.count(f"--last-failed: nothing is red in {run.folder}, so all is played\n") == 2


def test_red_cells_that_are_not_selected_are_no_green_run(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    """The exit code is that of nothing selected."""
    run([PASSED, FAILED, PASSED, PASSED])
    assert run([], last_failed=True, names="late-worker") == (5, [])
    assert "--last-failed: 1 red in" in capsys.readouterr().err


def test_an_interrupted_run_keeps_what_it_did_not_play(run: Run) -> None:
    """The red of before, and its own."""
    run([FAILED, FAILED, PASSED, PASSED])
    assert run([PASSED, KeyboardInterrupt()])[0] == 130
    assert run([PASSED], last_failed=True)[1] == [ALL[1]]


def test_what_cannot_be_stored_changes_no_exit_code(
    run: Run, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """It is said."""

    def full(*_: Any) -> None:
        raise HarnessError("cannot write it: the disk is full")

    monkeypatch.setattr(last_failed, "remember", full)
    assert run([PASSED] * 4)[0] == 0
    assert capsys.readouterr().err == "--last-failed will not know of this run: cannot write it: the disk is full\n"


def test_a_file_that_is_gone_is_forgotten(tmp_path: Path) -> None:
    """Else it would be red for ever."""
    last_failed.remember(tmp_path, [result_of(CELLS[0], FAILED)])
    assert last_failed.read(tmp_path) == frozenset()


# -- --shard -----------------------------------------------------------------------------------------------------------


def cells(count: int) -> list[Scenario]:
    path = Path("scenarios/a.rdzv.yaml")
    return [Scenario(path, "A", CELLS[0].world, (), cell=(("n", f"{number:03}"),)) for number in range(count)]


@pytest.mark.parametrize(("count", "parts"), [(10, 3), (3, 3), (2, 5), (1, 1), (100, 7)])
def test_each_cell_is_in_one_shard_and_shards_are_of_equal_size(count: int, parts: int) -> None:
    """In whatever order a machine finds its files."""
    found = [Shard(number, parts).of(cells(count)) for number in range(1, parts + 1)]
    assert sorted(cell.id for part in found for cell in part) == [cell.id for cell in cells(count)]
    assert max(map(len, found)) - min(map(len, found)) <= 1
    for number, part in enumerate(found, 1):
        elsewhere = Shard(number, parts).of(cells(count)[::-1])
        assert {cell.id for cell in elsewhere} == {cell.id for cell in part}


def test_a_shard_keeps_the_order_of_the_files(run: Run) -> None:
    """And is a part of what was selected."""
    assert run([PASSED] * 4, shard=Shard(1, 1))[1] == ALL != sorted(ALL)
    assert run([PASSED] * 2, shard=Shard(1, 2))[1] == ["late-master", "late[cut=1B]"]
    assert run([PASSED] * 2, shard=Shard(2, 2))[1] == ["late-worker", "late[cut=2B]"]
    assert run([PASSED], shard=Shard(2, 2), tags="links")[1] == ["late[cut=2B]"]


def test_the_json_report_says_which_shard_it_is(run: Run, tmp_path: Path) -> None:
    """And how many results it should have, so that `merge` knows what is missing; a whole run has no shard."""
    for shard, said in (
        (Shard(2, 3), {"number": 2, "count": 3, "cells": 1, "of": 4, "runs": 2}),
        (None, None),
    ):
        path = tmp_path / "report.json"
        run([PASSED] * 8, shard=shard, repeat=2, reports=(ReportChoice("json", path),))
        assert json.loads(path.read_text())["meta"].get("shard") == said


def test_an_empty_shard_is_nothing_selected(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    """With how many there may be."""
    assert run([], shard=Shard(5, 5)) == (5, [])
    assert "--shard 5/5 of 4 cells is empty; give at most 4 parts" in capsys.readouterr().err


@pytest.mark.parametrize("text", ["", "1", "0/2", "3/2", "1/0", "-1/2", "1/99999", "a/b", "1/2/3", "1/" + "9" * 5000])
def test_what_is_no_shard_is_refused(text: str) -> None:
    """With the form."""
    with pytest.raises(UsageError, match=r"^--shard "):
        shards.parse(text)


# -- --fail-fast -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("status", "code"), [(FAILED, 1), (ERROR, 3), (VACUOUS, 4)])
def test_the_first_red_result_ends_the_run(
    run: Run, status: str, code: int, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """With its exit code, the number of cells that were not played, and reports that say that they are not whole."""
    report = tmp_path / "report.json"
    reports = (ReportChoice("json", report),)
    assert run([PASSED, status, PASSED, PASSED], fail_fast=True, reports=reports)[0] == code
    assert "; stopped at the first red result, 2 not played" in capsys.readouterr().out
    document = json.loads(report.read_text())
    assert document["meta"]["interrupted"] is True
    assert [row["status"] for row in document["results"]] == [PASSED, status]


def test_without_a_red_result_all_is_played(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    """Known failures and skipped cells are not red."""
    assert run([PASSED, KNOWN, SKIPPED, PASSED], fail_fast=True)[0] == 0
    assert "stopped" not in capsys.readouterr().out


def test_what_still_runs_is_ended_before_the_runner_is_left(run: Run) -> None:
    """The plays are closed first, so that each world is healed."""
    order: list[str] = []

    class Watched(FakeRunner):
        def run(self, *asked: Any) -> Iterator[Any]:
            try:
                yield from super().run(*asked)
            finally:
                order.append("ended")

        def __exit__(self, *_: object) -> None:
            order.append("left")

    running.run(Request((Path("scenarios"),), fail_fast=True), run.options, Watched([FAILED, PASSED]))
    assert order == ["ended", "left"]


# -- --durations -------------------------------------------------------------------------------------------------------


def test_the_slowest_plays_are_printed(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    """Behind the table, before the red ones; those that were not played have no time."""
    assert run([PASSED] * 4, durations=1)[0] == 0
    assert "slowest 1 of 4 plays, 0.40 s together\n     0.10 s  timeouts/late-worker\n" in capsys.readouterr().out


def test_durations_are_sorted_and_all_if_asked_for() -> None:
    """Zero is all; skipped cells are left out."""
    times = [("a", 1.0, "r"), ("b", 12.5, "r"), ("c", 0.0, None), ("d", 3.25, "r")]
    results: Any = [
        SimpleNamespace(
            scenario=SimpleNamespace(id=name, path=Path("x.rdzv.yaml")), seconds=took, run_dir=at, attempt=2
        )
        for name, took, at in times
    ]
    assert durations.lines(results, 0) == [
        "",
        "slowest 3 of 3 plays, 16.75 s together",
        "    12.50 s  b run 2",
        "     3.25 s  d run 2",
        "     1.00 s  a run 2",
    ]
    assert durations.lines(results, 2)[1:3] == ["slowest 2 of 3 plays, 16.75 s together", "    12.50 s  b run 2"]
    assert durations.lines([], 3) == ["", "durations: nothing was played"]


# -- from the command line ---------------------------------------------------------------------------------------------


def test_the_options_reach_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each with its value."""
    asked: list[Request] = []
    monkeypatch.setattr(running, "run", lambda request, options: asked.append(request) or 0)
    assert main(["run", "x", "--last-failed", "--shard", "2/3", "--durations", "7", "--fail-fast"]) == 0
    (request,) = asked
    assert (request.last_failed, request.shard, request.durations, request.fail_fast) == (True, Shard(2, 3), 7, True)
    assert main(["run", "x", "--shard", "4/3"]) == 2
