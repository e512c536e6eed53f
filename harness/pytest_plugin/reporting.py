"""Reports in pytest: made of the rows of all items, from all workers of xdist, when the session ends."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any

import pytest

from harness.cli.reporting import ReportChoice, make, parse
from harness.judge.result import Result
from harness.pytest_plugin.rows import Found, gathered
from harness.reports.base import REPORTS, Report, RowReport
from harness.values.errors import HarnessError, UsageError
from harness.values.printable import printable_lines
from harness.values.refusals import describe

OPTION = "--rdzv-report"


def choice(word: str) -> ReportChoice:
    """`KIND=FILE`; a bare FILE is JSON."""
    return parse(word if re.match(r"[\w-]+=", word) else f"json={word}")


def reports(words: Sequence[str]) -> list[tuple[str, RowReport]]:
    """The reports that these words ask for, with their kinds; raises UsageError with every problem of every word."""
    choices = [choice(word) for word in words]
    fit = [one for one in choices if not _problem(one)]
    problems = [f"{OPTION} {one.kind}: {problem}" for one in choices if (problem := _problem(one))]
    made: list[Report] = []
    try:
        made = make(fit, OPTION)
    except UsageError as error:
        problems.append(str(error))
    if problems:
        raise UsageError("\n".join(problems))
    pairs = zip(fit, made, strict=True)
    return [(one.kind, report) for one, report in pairs if isinstance(report, RowReport)]


def extras(words: Sequence[str], result: Result) -> dict[str, Any]:
    """What the row of a result must carry for the reports of these words, by their kinds."""
    kinds = {choice(word).kind for word in words}
    members = {kind: REPORTS[kind] for kind in sorted(kinds)}
    found = {kind: dict(one.extras(result)) for kind, one in members.items() if issubclass(one, RowReport)}
    return {kind: one for kind, one in found.items() if one}


def _problem(choice: ReportChoice) -> str:
    """Why pytest cannot write it; empty if it can, or if there is no such report, which `make` says."""
    if choice.kind not in REPORTS:
        return ""
    if not issubclass(REPORTS[choice.kind], RowReport):
        kinds = ", ".join(kind for kind, member in REPORTS.items() if issubclass(member, RowReport))
        return f"it needs the histories of all runs, which pytest does not keep; it can write {kinds}"
    return "" if choice.path else "standard output is pytest's; give a file"


class ReportWriter:
    """Writes the reports; a plug-in of the process that has the session."""

    def __init__(self, reports: Sequence[tuple[str, RowReport]]) -> None:
        self._reports = reports

    def pytest_sessionfinish(self, session: pytest.Session, exitstatus: int) -> None:
        found = list(gathered(session.config))
        failures = list(self._written(found, exitstatus == pytest.ExitCode.INTERRUPTED))
        if failures:
            pytest.exit(printable_lines("\n".join(failures)), returncode=pytest.ExitCode.INTERNAL_ERROR)

    def _written(self, found: Sequence[Found], interrupted: bool) -> Iterable[str]:
        """Write all; yields why one could not be written."""
        for kind, report in self._reports:
            rows = [{**one.row, **one.extras.get(kind, {})} for one in found]
            try:
                report.closed_with(rows, interrupted=interrupted)
            except HarnessError as error:
                yield str(error)
            except OSError as error:
                yield describe(error)
