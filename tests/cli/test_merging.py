"""`merge`: reports of shards in, one report out with each play once; whatever is missing is named."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import happened_reports
import pytest

from harness.cli import main

Captured = pytest.CaptureFixture[str]
row = happened_reports.row

OF = 5
"""Cells of the whole run, in three shards: two, two and one."""
CELLS = (("a", "d"), ("b", "e"), ("c",))


def _written(path: Path, number: int, rows: Sequence[Mapping[str, Any]], **meta: Any) -> Path:
    part = {"number": number, "count": 3, "cells": len(CELLS[number - 1]), "of": OF, "runs": 1}
    path.parent.mkdir(exist_ok=True)
    document = happened_reports.document(rows, **{"shard": part, "harness": "1", **meta})
    path.write_text(json.dumps(document), encoding="utf-8")
    return path


def _all(folder: Path) -> list[Path]:
    return [
        _written(folder / f"{number}.json", number, [row(cell, attempt=1) for cell in cells])
        for number, cells in enumerate(CELLS, 1)
    ]


def _merge(*words: object) -> int:
    return main(["merge", *map(str, words)])


def _ids(report: Path) -> list[str]:
    return [result["id"] for result in json.loads(report.read_text())["results"]]


def test_all_shards_are_one_report(tmp_path: Path, capsys: Captured) -> None:
    """Each result once; it has no shard any more, and `compare` reads it."""
    whole = tmp_path / "whole.json"
    assert _merge(*_all(tmp_path), "--json", whole) == 0
    assert _ids(whole) == ["a", "d", "b", "e", "c"]
    meta = json.loads(whole.read_text())["meta"]
    assert (meta["counts"]["passed"], meta["interrupted"], "shard" in meta) == (5, False, False)
    assert "5 results of 3 of 3 shards: 5 passed, 0 known" in capsys.readouterr().err


def test_reports_are_found_in_folders(tmp_path: Path) -> None:
    """As services unpack what jobs have uploaded; other files there are passed over."""
    for number, cells in enumerate(CELLS, 1):
        _written(tmp_path / f"shard-{number}" / "report.json", number, [row(cell) for cell in cells])
    (tmp_path / "shard-1" / "run.json").write_text("{}")
    (tmp_path / "shard-2" / "broken.json").write_text("{")
    assert _merge(tmp_path, "--json", tmp_path / "whole.json") == 0
    assert sorted(_ids(tmp_path / "whole.json")) == list("abcde")


def test_a_missing_shard_is_an_error_with_its_number(tmp_path: Path, capsys: Captured) -> None:
    """What is there is reported all the same, as of a run that was interrupted."""
    paths = _all(tmp_path)
    assert _merge(paths[0], paths[2], "--json", tmp_path / "whole.json") == 3
    assert "error: no report of shard 2/3; play what is missing with `--shard 2/3`" in capsys.readouterr().err
    assert _ids(tmp_path / "whole.json") == ["a", "d", "c"]
    assert json.loads((tmp_path / "whole.json").read_text())["meta"]["interrupted"] is True


def test_a_shard_that_was_not_played_to_its_end_is_an_error(tmp_path: Path, capsys: Captured) -> None:
    """Its job was killed after it wrote something."""
    paths = _all(tmp_path)
    _written(paths[1], 2, [row("b")], interrupted=True)
    assert _merge(*paths) == 3
    assert "error: shard 2/3 has 1 of 2 results; play it again, to its end" in capsys.readouterr().err


def test_of_two_results_of_one_play_the_earlier_counts(tmp_path: Path, capsys: Captured) -> None:
    """In whatever order the reports are given; and one that was cut short is completed by another."""
    paths = _all(tmp_path)
    late = [row("b", status="failed", started_at="2026-12-02T10:00:00Z"), row("e", started_at="2026-12-02T10:00:00Z")]
    _written(paths[1], 2, late)
    again = _written(tmp_path / "again.json", 2, [row("b", started_at="2026-12-02T09:00:00Z")], interrupted=True)
    for order in ([*paths, again], [again, *paths]):
        assert _merge(*order, "--json", tmp_path / "whole.json") == 0
        assert sorted(_ids(tmp_path / "whole.json")) == list("abcde")
        assert "1 came twice, and the first counts" in capsys.readouterr().err


def test_a_shard_without_cells_is_not_missing(tmp_path: Path) -> None:
    """`run` plays nothing there, and writes no report."""
    part = {"number": 1, "count": 3, "cells": 1, "of": 1, "runs": 1}
    assert _merge(_written(tmp_path / "a.json", 1, [row("a")], shard=part)) == 0


def test_red_results_are_named_and_decide_the_exit_code(tmp_path: Path, capsys: Captured) -> None:
    """As after `run`."""
    paths = _all(tmp_path)
    _written(paths[2], 3, [row("c", status="failed", because="rank 1 hung")])
    assert _merge(*paths) == 1
    assert "failed: scenarios/x/c.rdzv.yaml: c: rank 1 hung" in capsys.readouterr().err


def test_a_skipped_result_fails_if_that_is_asked_for(tmp_path: Path) -> None:
    """As in the runs of the shards."""
    shards = _all(tmp_path)
    _written(shards[2], 3, [row("c", status="skipped")])
    assert _merge(*shards) == 0
    assert _merge(*shards, "--fail-on-skip") == 1


def test_other_reports_than_json_are_written_too(tmp_path: Path) -> None:
    """Those that are made of rows."""
    assert _merge(*_all(tmp_path), "--junit", tmp_path / "x.xml", "--report", f"html={tmp_path / 'x.html'}") == 0
    assert (tmp_path / "x.xml").read_text().count("<testcase") == 5
    assert (tmp_path / "x.html").exists()


@pytest.mark.parametrize(
    ("meta", "said"),
    [
        ({"subject": ["static-strict"]}, "reports of different runs: subject is static"),
        ({"harness": "2"}, "reports of different runs: harness is 1"),
        ({"shard": {"number": 2, "count": 4, "cells": 2, "of": 5, "runs": 1}}, "of 5 cells in 3 shards"),
        ({"shard": {"number": 2, "count": 3, "cells": 2, "of": 6, "runs": 1}}, "give reports of one run"),
        ({"shard": {"number": 4, "count": 3, "cells": 2, "of": 5, "runs": 1}}, "there is no shard 4/3"),
        ({"shard": {"number": "2"}}, "meta.shard: number: "),
        ({"shard": None}, "meta.shard: "),
    ],
)
def test_what_is_not_of_one_run_is_refused(tmp_path: Path, capsys: Captured, meta: dict[str, Any], said: str) -> None:
    """With the file that differs."""
    paths = _all(tmp_path)
    _written(paths[1], 2, [row("b"), row("e")], **meta)
    assert _merge(*paths) == 2
    error = capsys.readouterr().err
    assert said in error
    assert "2.json" in error


def test_a_report_without_a_shard_is_refused(tmp_path: Path, capsys: Captured) -> None:
    """`merge` could not know what is missing; nor is there anything in an empty folder."""
    path = tmp_path / "a.json"
    path.write_text(json.dumps(happened_reports.document([row("a")])))
    assert _merge(path) == 2
    assert "the report of a whole run, not of one with --shard" in capsys.readouterr().err
    (tmp_path / "empty").mkdir()
    assert _merge(tmp_path / "empty") == 2
    assert "there is no report in" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"attempt": "first"}, "not a result of this format (attempt: "),
        ({"times_to_error": 7}, "times_to_error: "),
        ({"times_to_error": [{}]}, "times_to_error: "),
    ],
)
def test_damaged_rows_are_refused(tmp_path: Path, capsys: Captured, changes: dict[str, Any], said: str) -> None:
    """With their place."""
    assert _merge(_written(tmp_path / "a.json", 1, [row("a", **changes)])) == 2
    assert f"a.json: results[0]: {said}" in capsys.readouterr().err
