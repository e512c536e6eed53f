"""GitHub's annotations in pytest: of what workers of xdist report, and of files that cannot be read."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any

import pytest

from harness.pytest_plugin.annotations import Annotations
from harness.pytest_plugin.rows import ATTRIBUTE, Gathered

CI = {"GITHUB_WORKSPACE": "/repo"}
RED = {"status": "failed", "id": "claim", "path": "/repo/tests/claim.rdzv.yaml", "because": "rank 1 hung"}


class Terminal:
    """Keeps the lines that are written."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def ensure_newline(self) -> None:
        """Every line stands alone here."""

    def write_line(self, line: str) -> None:
        self.lines.append(line)


def unreadable(text: str) -> pytest.CollectReport:
    return pytest.CollectReport("a.rdzv.yaml", "failed", text, [])


def from_a_worker(row: dict[str, Any], outcome: Any, line: int = 7) -> pytest.TestReport:
    """A report with a result, as the main process gets it: through JSON."""
    report = pytest.TestReport("claim.rdzv.yaml::claim", ("", 0, ""), {}, outcome, None, "call")
    vars(report)[ATTRIBUTE] = [json.dumps({"row": row, "extras": {}, "line": line})]
    return pytest.TestReport._from_json(json.loads(json.dumps(report._to_json())))


def annotated(annotations: Annotations, *reports: pytest.TestReport) -> list[str]:
    """The lines after these reports."""
    rows, terminal = Gathered(), Terminal()
    for report in reports:
        rows.pytest_runtest_logreport(report)
    config: Any = SimpleNamespace(pluginmanager=SimpleNamespace(get_plugin=lambda name: rows))
    annotations.pytest_terminal_summary(terminal, config)
    return terminal.lines


def test_what_a_worker_reports_is_annotated_at_its_line() -> None:
    """The line of the claim in the file, with its path from the root of the repository."""
    (line,) = annotated(Annotations(CI), from_a_worker(RED, "failed"))
    assert line == "::error file=tests/claim.rdzv.yaml,line=7,title=failed%3A claim::rank 1 hung"


def test_a_red_run_that_its_test_expects_is_no_annotation() -> None:
    """A test in Python may ask for a run that fails; and what passed is none either."""
    expected, passed = from_a_worker(RED, "passed"), from_a_worker({**RED, "status": "passed"}, "passed")
    skipped = from_a_worker({**RED, "status": "skipped"}, "failed")
    assert annotated(Annotations(CI), expected, passed, skipped) == []


def test_a_file_that_cannot_be_read_is_annotated_once_at_each_of_its_lines() -> None:
    """Although every worker of xdist reads it; lines that only quote the file are none."""
    text = "/repo/a.rdzv.yaml:7:5: there is no key 'stepp'\n  7 | - {stepp: join}\n/repo/a.rdzv.yaml:9:1: 100% wrong"
    annotations = Annotations(CI)
    for _ in ("gw0", "gw1"):
        annotations.pytest_collectreport(unreadable(text))
    assert annotated(annotations) == [
        "::error file=a.rdzv.yaml,line=7,title=not a scenario::there is no key 'stepp'",
        "::error file=a.rdzv.yaml,line=9,title=not a scenario::100%25 wrong",
    ]


def test_an_error_of_another_collection_is_no_annotation() -> None:
    """Other plug-ins say what they have to say themselves."""
    annotations = Annotations(CI)
    annotations.pytest_collectreport(unreadable("ImportError: no module named 'x' (test_x.py:3:1: import x)"))
    annotations.pytest_collectreport(pytest.CollectReport("a", "passed", "/a.rdzv.yaml:7:5: fine", []))  # type: ignore[arg-type]
    assert annotated(annotations) == []
