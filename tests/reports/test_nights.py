"""The history of nights: appended to, read back, united, and what it says of a cell."""

from __future__ import annotations

import json
import threading
from pathlib import Path
from typing import Any

import pytest

from harness.reports.base import REPORTS, RowReport
from harness.reports.page.nights import Night, Nights, counted, key_of, line, read
from harness.values.errors import UsageError

CELL = {"id": "a-claim", "path": "scenarios/links/a-claim.rdzv.yaml", "subject": "static", "torch": "2.15.0"}
KEY = ("links/a-claim", "static", "2.15.0")


def row(status: str, **changes: Any) -> dict[str, Any]:
    return {**CELL, "status": status, **changes}


def night(day: int, *statuses: str) -> Night:
    """A night in which the cell had these statuses, one for each attempt."""
    return Night.of([row(status) for status in statuses], f"2026-12-{day:02}T02:00:00Z")


def test_a_night_comes_back_as_it_was_written(tmp_path: Path) -> None:
    """Each status, two subjects and two versions of torch."""
    statuses = ("passed", "failed", "vacuous", "error", "known failure", "skipped")
    rows = [row(status, id=f"cell-{number}", torch=f"2.{number % 2}") for number, status in enumerate(statuses)]
    written = Night.of(rows, "2026-12-01T02:00:00Z")
    (tmp_path / "nights.jsonl").write_text(line(written))
    (found,) = read(tmp_path / "nights.jsonl").nights
    assert found == written
    assert counted(found) == dict.fromkeys(("passed", "known", "failed", "vacuous", "error", "skipped"), 1)


def test_of_several_attempts_the_worst_counts() -> None:
    """A cell that failed once in a night has failed."""
    assert night(1, "passed", "failed", "passed").statuses == {KEY: "failed"}


def test_equal_names_in_two_folders_are_two_cells() -> None:
    """The folder belongs to the name."""
    assert key_of(row("passed")) == KEY
    assert key_of(row("passed", path="scenarios/ports/a-claim.rdzv.yaml")) != KEY


def test_two_files_one_behind_the_other_are_their_union(tmp_path: Path) -> None:
    """In any order, and with lines that both have."""
    first, second, third = (line(night(day, status)) for day, status in ((1, "passed"), (2, "failed"), (3, "passed")))
    united = tmp_path / "united.jsonl"
    united.write_text(third + first + "\n" + first + second)
    assert [one.at[8:10] for one in read(united).nights] == ["01", "02", "03"]


def test_a_line_that_was_cut_short_does_not_count(tmp_path: Path) -> None:
    """A process that was killed may leave one; the next one cuts it off, and adds its own behind the whole ones."""
    path = tmp_path / "nights.jsonl"
    path.write_text(line(night(1, "passed")) + '{"schema": "rdzv-ni')
    assert len(read(path).nights) == 1
    report = REPORTS["history"].to(path)
    assert isinstance(report, RowReport)
    report.closed_with([row("failed")], interrupted=False)
    assert [one.statuses[KEY] for one in read(path).nights] == ["passed", "failed"]


@pytest.mark.parametrize(
    "text",
    [
        "no\n",
        "[]\n",
        "[" * 100_000 + "\n",
        '{"schema": "other/1"}\n',
        '{"schema": "rdzv-night/1", "at": "x", "groups": [{"of": ["a"]}]}\n',
        '{"schema": "rdzv-night/1", "at": "x", "groups": [{"of": ["a", "b"], "cells": {"z": ["c"]}}]}\n',
    ],
)
def test_anything_else_is_refused_with_its_line(tmp_path: Path, text: str) -> None:
    """Before anything is played, and nothing is changed."""
    path = tmp_path / "nights.jsonl"
    path.write_text(line(night(1, "passed")) + text)
    with pytest.raises(UsageError, match=r"nights\.jsonl:2: not a night of this format"):
        read(path)


def test_a_file_that_is_not_there_has_no_nights(tmp_path: Path) -> None:
    """The first run begins it; a folder is refused."""
    assert read(tmp_path / "new.jsonl") == Nights()
    with pytest.raises(UsageError, match="cannot read"):
        read(tmp_path)


def test_several_processes_append_whole_lines(tmp_path: Path) -> None:
    """None is lost and none is mixed with another."""
    path = tmp_path / "new" / "nights.jsonl"

    def append(number: int) -> None:
        report = REPORTS["history"].to(path)
        assert isinstance(report, RowReport)
        report.closed_with([row("passed", id=f"cell-{number}")], interrupted=False)

    threads = [threading.Thread(target=append, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    cells = {cell for one in read(path).nights for (cell, _, _) in one.statuses}
    assert cells == {f"links/cell-{number}" for number in range(8)}
    assert all(json.loads(one) for one in path.read_text().splitlines())


@pytest.mark.parametrize(
    ("before", "status", "marker"),
    [
        ((), "failed", ""),
        (("passed",), "failed", "new"),
        (("passed", "failed"), "failed", "known"),
        (("failed", "passed"), "failed", "new"),
        (("failed",), "passed", "fixed"),
        (("passed",), "passed", ""),
        (("failed", "skipped"), "passed", "fixed"),
        (("vacuous",), "known failure", "fixed"),
        (("failed",), "skipped", ""),
        (("",), "failed", "new"),
    ],
)
def test_what_is_different_from_the_last_night(before: tuple[str, ...], status: str, marker: str) -> None:
    """Judged by the last night that judged the cell; a skipped cell says nothing."""
    nights = Nights.of(
        night(day, one) if one else Night(f"2026-12-{day:02}T02:00:00Z") for day, one in enumerate(before, 1)
    )
    assert nights.marker(KEY, status) == marker


def test_the_past_of_a_cell_has_a_place_for_each_night() -> None:
    """Also for one in which it was not played."""
    nights = Nights.of([night(1, "passed"), Night("2026-12-02T02:00:00Z"), night(3, "failed")])
    assert nights.past(KEY) == ["passed", "", "failed"]
