"""`compare`: reports of several runs in, one Markdown table out, and a message for anything else."""

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


def written(path: Path, rows: Sequence[Mapping[str, Any]], **meta: Any) -> str:
    """A report at that path."""
    path.write_text(json.dumps(happened_reports.document(rows, **meta)), encoding="utf-8")
    return str(path)


def test_two_reports_are_one_table(tmp_path: Path, capsys: Captured) -> None:
    """Columns are named by subject and torch, without torch's build; the title leads to the file."""
    stock = [row("late", status="known failure", known_refs=["F05", "pytorch/pytorch#1"]), row("early")]
    first = written(tmp_path / "a.json", stock)
    second = written(tmp_path / "b.json", [row("early"), row("late")], subject=["static-strict"])
    assert main(["compare", first, second]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "| claim | static, torch 2.15.0 | static-strict, torch 2.15.0 |",
        "| --- | --- | --- |",
        "| [The claim of late](scenarios/x/late.rdzv.yaml) | broken (F05, pytorch/pytorch#1) | kept |",
        "",
        "1 other claim is kept by all.",
    ]


def test_three_reports_have_three_columns(tmp_path: Path, capsys: Captured) -> None:
    """Any number from two on; where subject and torch are the same, the names of the files distinguish them."""
    paths = [written(tmp_path / f"{name}.json", [row("late", status="failed")]) for name in "ab"]
    paths.append(written(tmp_path / "c.json", [row("late")], subject=["echo"], torch=[]))
    assert main(["compare", *paths]) == 0
    head, _, claim = capsys.readouterr().out.splitlines()[:3]
    assert head == "| claim | static, torch 2.15.0 (a.json) | static, torch 2.15.0 (b.json) | echo |"
    assert claim.endswith("| broken (not known) | broken (not known) | kept |")


def test_what_run_writes_can_be_compared(tmp_path: Path, capsys: Captured) -> None:
    """The report itself is the input, not something that looks like it."""
    from harness.judge.result import Result
    from harness.reports.base import REPORTS
    from harness.scenario.scenario import Scenario, World
    from harness.values.history import History
    from harness.values.verdict import FAILED, PASSED, Judgement

    scenario = Scenario(Path("s/late.rdzv.yaml"), "A late rank joins", World(2, 10**9), steps=(), expect=())
    paths = [tmp_path / "a.json", tmp_path / "b.json"]
    for path, status in zip(paths, (PASSED, FAILED), strict=True):
        result = Result(scenario, Judgement(status, "because"), History(), None, 1.0, subject=status)
        REPORTS["json"].to(path).closed([result], interrupted=False)
    assert main(["compare", *map(str, paths)]) == 0
    out = capsys.readouterr().out
    assert "| claim | passed | failed |" in out
    assert "| [A late rank joins](s/late.rdzv.yaml) | kept | broken (not known) |" in out


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "not JSON"),
        (b"PK\x03\x04\xff\xfe", "not JSON"),
        (b"[" * 100_000, "not JSON"),
        (b"[]", "not a report"),
        (b'{"meta": [], "results": []}', "not a report"),
        (b'{"meta": {"schema": "rdzv-report/v1"}, "results": {}}', "not a report"),
        (b'{"meta": {"schema": "rdzv-report/v1"}, "results": [1]}', "not a report"),
        (b'{"meta": {"schema": "rdzv-report/v1"}, "results": [{"id": "x"}]}', "not a report"),
        (b'{"meta": {"schema": "rdzv-report/v2"}, "results": []}', "not a report"),
        (b'{"meta": {"schema": "rdzv-report/v1"}, "results": []}', "without results"),
    ],
)
def test_what_is_no_report_is_refused_with_what_to_do(
    content: bytes, message: str, tmp_path: Path, capsys: Captured
) -> None:
    """Exit code 2, the file's name and the command that writes one; never a traceback."""
    broken = tmp_path / "broken.json"
    broken.write_bytes(content)
    said = _refused([written(tmp_path / "a.json", [row("late")]), str(broken)], capsys)
    assert message in said
    assert str(broken) in said
    assert "--json FILE" in said


def test_a_report_of_other_values_is_none(tmp_path: Path, capsys: Captured) -> None:
    """A status that there is not, and references that are no list."""
    good = written(tmp_path / "a.json", [row("late")])
    for name, change in (("b", {"status": "fine"}), ("c", {"known_refs": "F05"}), ("d", {"title": None})):
        assert "not a report" in _refused([good, written(tmp_path / f"{name}.json", [row("late", **change)])], capsys)


def test_a_missing_file_is_told_with_the_reason(tmp_path: Path, capsys: Captured) -> None:
    """With the system's reason; a folder is not a file either."""
    good = written(tmp_path / "a.json", [row("late")])
    assert "No such file" in _refused([good, str(tmp_path / "none.json")], capsys)
    assert "directory" in _refused([good, str(tmp_path)], capsys)


def test_one_report_alone_cannot_be_compared(tmp_path: Path, capsys: Captured) -> None:
    """Given twice it is still one."""
    good = written(tmp_path / "a.json", [row("late")])
    assert "another run" in _refused([good], capsys)
    assert "another run" in _refused([good, good], capsys)


def test_what_a_report_has_not_is_marked(tmp_path: Path, capsys: Captured) -> None:
    """A scenario that only one of them played, and a cell; neither looks kept or broken there."""
    first = written(tmp_path / "a.json", [row("late"), row("only"), row("both[timeout=1s]", path="x/both.rdzv.yaml")])
    cells = [row(f"both[timeout={number}s]", path="x/both.rdzv.yaml") for number in (1, 2)]
    second = written(tmp_path / "b.json", [row("late"), *cells])
    assert main(["compare", first, second]) == 0
    out = capsys.readouterr().out.splitlines()
    assert [line.split(" | ")[1:] for line in out if "only" in line] == [["kept", "not in this report |"]]
    assert [line.split(" | ")[1:] for line in out if "both" in line] == [["kept; 1 cell not in this report", "kept |"]]


@pytest.mark.parametrize(
    ("was", "status", "code"),
    [
        ("passed", "failed", 1),
        ("known failure", "vacuous", 1),
        ("passed", "error", 1),
        ("passed", "known failure", 0),
        ("failed", "failed", 0),
        ("failed", "passed", 0),
        ("skipped", "failed", 0),
    ],
)
def test_a_regression_is_an_exit_code_where_it_is_asked_for(
    tmp_path: Path, capsys: Captured, was: str, status: str, code: int
) -> None:
    """From as expected in the first report to red in the last; the cell is named. Otherwise the code stays 0."""
    first = written(tmp_path / "a.json", [row("late", status=was), row("early")])
    last = written(tmp_path / "b.json", [row("late", status=status), row("new", status="failed")])
    assert main(["compare", first, last]) == 0
    capsys.readouterr()
    assert main(["compare", first, last, "--fail-on-regression"]) == code
    said = capsys.readouterr().err
    assert (f"late: was {was}, is {status}" in said) == bool(code)
    assert "new" not in said


def test_a_run_that_was_interrupted_is_not_compared(tmp_path: Path, capsys: Captured) -> None:
    """What it did not come to is not known."""
    paths = [written(tmp_path / f"{name}.json", [row("late")], interrupted=name == "b") for name in "ab"]
    assert "interrupted" in _refused(paths, capsys)


def _refused(paths: Sequence[str], capsys: Captured) -> str:
    assert main(["compare", *paths]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith("error: ")
    assert "Traceback" not in said.err
    return said.err
