"""`html`, and `show` in other forms than text: pages and traces of runs that are stored."""

from __future__ import annotations

import json
import sys
import webbrowser
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from harness.archive.layout import META
from harness.cli import streams
from harness.cli.comparing import document_of
from harness.cli.exit_codes import AS_EXPECTED, SOME_ERROR, USAGE
from harness.values.errors import HarnessError, ScenarioError, UsageError
from harness.values.printable import printable

OF_ONE_RUN = "page.html"
"""In a run's directory: it goes when the run goes."""

_WHAT = "give run directories, folders of them, or reports of `run --json`"


def html(
    paths: Sequence[str | Path], output: Path, history: Path | None, is_opened: bool, runs_dir: Path = Path()
) -> int:
    """Write one page of stored runs and of JSON reports; returns the exit code.

    What cannot be read is named, and the others are shown. Raises UsageError if the page cannot be written.

    Args:
        runs_dir: where the names of runs are looked for.
    """
    from harness.reports.base import check_writable
    from harness.reports.html import HtmlReport

    report = HtmlReport(check_writable(output))
    if history is not None:
        from harness.reports.page import nights

        report.remember(nights.read(history), history.name)
    stored = _Stored()
    for path in paths:
        stored.find(path, runs_dir)
    for problem in stored.refused:
        streams.say(f"error: {problem}")
    if stored.rows or not stored.refused:
        report.closed_with(stored.rows, stored.is_interrupted)
        _show(output, is_opened)
    if not stored.refused:
        return AS_EXPECTED
    return USAGE if all(isinstance(error, UsageError | ScenarioError) for error in stored.refused) else SOME_ERROR


def open_run(run_dir: Path) -> int:
    """Write the page of one run into its directory, and open it in a browser."""
    from harness.reports.html import HtmlReport

    HtmlReport(run_dir / OF_ONE_RUN).closed_with([_row_of_run(run_dir)], interrupted=False)
    _show(run_dir / OF_ONE_RUN, is_opened=True)
    return AS_EXPECTED


def trace(run_dir: Path) -> int:
    """Print one run as the JSON that Perfetto reads."""
    from harness.archive import read_run
    from harness.reports.page.perfetto import trace_of

    archived = read_run(run_dir)
    json.dump(trace_of(archived.scenario, archived.history), sys.stdout)
    print()
    return AS_EXPECTED


def _show(output: Path, is_opened: bool) -> None:
    print(printable(str(output)))
    if is_opened and not webbrowser.open(output.absolute().as_uri()):
        streams.say(f"no browser can be started here; open {output} in one")


# -- what is shown -----------------------------------------------------------------------------------------------------


@dataclass
class _Stored:
    """The rows of all arguments.

    Attributes:
        refused: why some of them cannot be read.
        is_interrupted: whether a report is of a run that was stopped before its end.
    """

    rows: list[dict[str, Any]] = field(default_factory=list)
    refused: list[HarnessError] = field(default_factory=list)
    is_interrupted: bool = False

    def find(self, word: str | Path, runs_dir: Path) -> None:
        """The rows of what is meant; see `stored_runs.find`."""
        from harness.cli.stored_runs import find

        try:
            self._add(find(word, runs_dir))
        except UsageError as error:
            self.refused.append(error)

    def _add(self, path: Path) -> None:
        """The rows of a run directory, of all of a folder, or of a JSON report."""
        for read in self._readings(path):
            try:
                self.rows.append(read())
            except HarnessError as error:
                self.refused.append(error)

    def _readings(self, path: Path) -> Iterator[Callable[[], dict[str, Any]]]:
        if not path.is_dir():
            yield from self._of_report(path)
            return
        inside = [path] if (path / META).exists() else sorted(one.parent for one in path.glob(f"*/{META}"))
        if not inside:
            self.refused.append(UsageError(f"{path} has no runs; {_WHAT}"))
        yield from (partial(_row_of_run, run_dir) for run_dir in inside)

    def _of_report(self, path: Path) -> Iterator[Callable[[], dict[str, Any]]]:
        try:
            document = document_of(path)
        except UsageError as error:
            self.refused.append(error)
            return
        self.is_interrupted |= document["meta"].get("interrupted") is True
        for number, row in enumerate(document["results"], 1):
            yield partial(_row_of_report, row, f"{path}: result {number}")


def _row_of_run(run_dir: Path) -> dict[str, Any]:
    """The row of a stored run, with its picture; one that was never judged is judged now."""
    from harness.archive import read_run
    from harness.archive.results import result_of
    from harness.judge.judge import judge
    from harness.reports.html import HtmlReport
    from harness.reports.parts.rows import row

    archived = read_run(run_dir)
    judgement = archived.judgement or judge(archived.scenario, archived.history, archived.steady, archived.steady_echo)
    result = result_of(archived, judgement)
    return {**row(result), **HtmlReport.extras(result)}


def _row_of_report(row: Mapping[str, Any], place: str) -> dict[str, Any]:
    """The row of a JSON report, with its picture if its run directory is still there."""
    from harness.cli.stored_rows import checked

    found = checked(row, place)
    return {**found, **_picture(found)}


def _picture(row: Mapping[str, Any]) -> dict[str, Any]:
    if not row.get("run_dir"):
        return {}
    try:
        return {key: value for key, value in _row_of_run(Path(row["run_dir"])).items() if key not in row}
    except HarnessError as error:
        return {"missing": str(error)}
