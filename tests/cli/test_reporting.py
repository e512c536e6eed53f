"""`--report KIND=PATH`: which reports are written, where, and what is refused before anything is played."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from harness.cli import main
from harness.cli.reporting import ReportChoice, make, parse
from harness.reports import kinds
from harness.reports.base import REPORTS
from harness.values.errors import UsageError

Captured = pytest.CaptureFixture[str]
SCENARIO = """\
schema: rdzv-scenario/v1
title: A claim that is skipped
needs: {torch: ">=99"}
world: {size: 2, timeout: 2s, route: direct}
workload:
  - {do: rendezvous}
expect:
  - {step: rendezvous, is: ok}
"""


@pytest.fixture
def scenario(tmp_path: Path) -> str:
    """A cell that no torch can play, so that a run of it is quick."""
    path = tmp_path / "claim.rdzv.yaml"
    path.write_text(SCENARIO)
    return str(path)


def run(scenario: str, *words: str) -> int:
    runs_dir = Path(scenario).parent / "runs"
    return main(["run", scenario, "--subject", "echo", "--runs-dir", str(runs_dir), *words])


@pytest.mark.parametrize(
    ("word", "choice"),
    [
        ("json=out/r.json", ReportChoice("json", Path("out/r.json"))),
        ("json=a=b", ReportChoice("json", Path("a=b"))),
        ("json=-", ReportChoice("json", None)),
        ("json=", ReportChoice("json", None)),
        ("json", ReportChoice("json", None)),
    ],
)
def test_a_word_is_a_kind_and_a_path(word: str, choice: ReportChoice) -> None:
    """`-` or no path is standard output."""
    assert parse(word) == choice


def test_the_kinds_are_the_names_of_the_files() -> None:
    """So `--help` knows them without importing any."""
    assert kinds() == list(REPORTS)


def test_help_names_every_kind(capsys: Captured, monkeypatch: pytest.MonkeyPatch) -> None:
    """A new report needs no line anywhere else."""
    monkeypatch.setenv("COLUMNS", "200")
    assert main(["run", "--help"]) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "--report KIND=PATH" in said
    assert f"write a report ({', '.join(kinds())})" in said


def test_several_reports_are_written_in_one_run(scenario: str, tmp_path: Path) -> None:
    """By the general option and by the short forms; folders are made."""
    paths = {name: tmp_path / "out" / name for name in ("a.json", "b.json", "c.xml", "d.txt")}
    words = ["--report", f"json={paths['a.json']}", "--json", str(paths["b.json"])]
    words += ["--junit", str(paths["c.xml"]), "--report", f"console={paths['d.txt']}"]
    assert run(scenario, *words) == 0
    first, second = (json.loads(paths[name].read_text()) for name in ("a.json", "b.json"))
    assert first == second
    assert "<testsuites" in paths["c.xml"].read_text()
    assert "1 cell: 0 passed" in paths["d.txt"].read_text()


@pytest.mark.parametrize("word", ["json", "json=-"])
def test_a_report_on_standard_output_is_alone_there(scenario: str, word: str, capsys: Captured) -> None:
    """For pipes: what people read goes to standard error then."""
    assert run(scenario, "--report", word) == 0
    said = capsys.readouterr()
    assert json.loads(said.out)["meta"]["counts"]["skipped"] == 1
    assert "1 cell: 0 passed" in said.err


def test_all_problems_are_told_at_once(scenario: str, tmp_path: Path, capsys: Captured) -> None:
    """Exit code 2, and nothing was played or written."""
    (tmp_path / "file").write_text("x")
    words = [
        f"jnit={tmp_path}/new/j.xml",
        "sparkline",
        f"json={tmp_path}/new/r.json",
        f"json={tmp_path}/file/r.json",
        "console",
        "timeline",
        "junit",
    ]
    assert run(scenario, *(part for word in words for part in ("--report", word))) == 2
    said = capsys.readouterr()
    problems = said.err.splitlines()
    assert problems[0] == "error: --report: 4 reports go to standard output; give each its own file"
    assert problems[1] == "--report jnit: there is no report 'jnit'; did you mean 'junit'?"
    assert problems[2] == f"--report sparkline: there is no report 'sparkline'; known: {', '.join(kinds())}"
    refused = f"cannot write a report to {tmp_path}/file/r.json (Not a directory); give a file that you may write"
    assert problems[3] == f"--report json: {refused}"
    assert problems[4] == "--report console: it is printed in any case; give a file to keep a copy: console=PATH"
    assert len(problems) == 5
    assert said.out == ""
    assert {path.name for path in tmp_path.iterdir()} == {"claim.rdzv.yaml", "file"}


def test_two_reports_to_one_file_are_refused(tmp_path: Path) -> None:
    """The second would overwrite the first."""
    with pytest.raises(UsageError, match=r"^--report: 2 reports go to .*/r; give each its own file"):
        make([ReportChoice("json", tmp_path / "r"), ReportChoice("junit", tmp_path / "r")])


def test_the_short_forms_can_write_to_standard_output_too(scenario: str, capsys: Captured) -> None:
    """`--json -` is `--report json=-`."""
    assert run(scenario, "--json", "-") == 0
    assert json.loads(capsys.readouterr().out)["results"][0]["status"] == "skipped"
