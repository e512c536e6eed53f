"""Reports in pytest: the rows that items carry, from all workers of xdist, written when the session ends."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any

import pytest

from harness.cli.reporting import ReportChoice, make, parse
from harness.reports.base import REPORTS, Report, RowReport
from harness.values.errors import HarnessError, UsageError
from harness.values.printable import printable_lines
from harness.values.refusals import describe

OPTION = "--rdzv-report"
PROPERTY = "rdzv"
"""The user property of an item that has its row, as JSON."""


def choice(word: str) -> ReportChoice:
    """`KIND=FILE`; a bare FILE is JSON."""
    return parse(word if re.match(r"[\w-]+=", word) else f"json={word}")


def reports(words: Sequence[str]) -> list[RowReport]:
    """The reports that these words ask for; raises UsageError with every problem of every word."""
    choices = [choice(word) for word in words]
    problems = [f"{OPTION} {one.kind}: {problem}" for one in choices if (problem := _problem(one))]
    made: list[Report] = []
    try:
        made = make([one for one in choices if not _problem(one)], OPTION)
    except UsageError as error:
        problems.append(str(error))
    if problems:
        raise UsageError("\n".join(problems))
    return [report for report in made if isinstance(report, RowReport)]


def _problem(choice: ReportChoice) -> str:
    """Why pytest cannot write it; empty if it can, or if there is no such report, which `make` says."""
    if choice.kind not in REPORTS:
        return ""
    if not issubclass(REPORTS[choice.kind], RowReport):
        kinds = ", ".join(kind for kind, member in REPORTS.items() if issubclass(member, RowReport))
        return f"it needs the histories of all runs, which pytest does not keep; it can write {kinds}"
    return "" if choice.path else "standard output is pytest's; give a file"


class ReportWriter:
    """Gathers the rows and writes the reports; a plug-in of the process that has the session."""

    def __init__(self, reports: Sequence[RowReport]) -> None:
        self._reports = reports
        self._rows: list[dict[str, Any]] = []

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.when == "teardown":
            self._rows.extend(json.loads(str(value)) for name, value in report.user_properties if name == PROPERTY)

    def pytest_sessionfinish(self, exitstatus: int) -> None:
        failures = []
        for report in self._reports:
            try:
                report.closed_with(self._rows, interrupted=exitstatus == pytest.ExitCode.INTERRUPTED)
            except HarnessError as error:
                failures.append(str(error))
            except OSError as error:
                failures.append(describe(error))
        if failures:
            pytest.exit(printable_lines("\n".join(failures)), returncode=pytest.ExitCode.INTERNAL_ERROR)
