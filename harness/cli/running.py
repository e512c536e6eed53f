"""`run`: from paths to results, reports and an exit code; Ctrl-C heals, ends everything and still reports."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from harness.cli.exit_codes import INTERRUPTED, NOTHING_SELECTED, SOME_ERROR, exit_code
from harness.cli.selecting import load_all, select
from harness.values.errors import HarnessError, UsageError

if TYPE_CHECKING:
    from harness.cli.reporting import ReportChoice
    from harness.judge.result import Result
    from harness.play.options import RunOptions
    from harness.reports.base import Report
    from harness.scenario.scenario import Scenario

# `--until-fail` alone: enough for a weekend.
UNTIL_FAIL_RUNS = 10_000


@dataclass(frozen=True)
class Request:
    """What is played, how often, and what is reported; `RunOptions` say how.

    Attributes:
        paths: files and folders.
        tags, names: expressions that select cells, or None.
        repeat: how often each cell is played; None is once, or with `until_fail` until one is red.
        reports: those beside the console's.
    """

    paths: tuple[Path, ...]
    tags: str | None = None
    names: str | None = None
    repeat: int | None = None
    until_fail: bool = False
    reports: tuple[ReportChoice, ...] = ()
    quiet: bool = False

    @property
    def runs(self) -> int:
        """How often each cell is played at most."""
        return self.repeat or (UNTIL_FAIL_RUNS if self.until_fail else 1)


class Playing(Protocol):
    """What `run` needs of a runner."""

    def run(self, cells: Sequence[Scenario], repeat: int, until_fail: bool, observer: Any) -> Iterator[Result]: ...


MakeRunner = Callable[["RunOptions"], AbstractContextManager[Playing]]


def run(request: Request, options: RunOptions, make_runner: MakeRunner | None = None) -> int:
    """Play what is asked for and report; returns the exit code.

    Raises UsageError or ScenarioError before anything is played.
    """
    if request.repeat is not None and request.repeat < 1:
        raise UsageError(f"--repeat {request.repeat}: a cell is played at least once")
    cells = select(load_all(request.paths), request.tags, request.names)
    if not cells:
        print("nothing selected: no cell fits --tags and -k; `rdzv-harness validate` lists the files", file=sys.stderr)
        return NOTHING_SELECTED
    reports = _reports(request, len(cells))
    results, interrupted, failure = _play(request, options, cells, reports, make_runner or _real_runner)
    unwritten = _close(reports, results, interrupted)
    return _exit_code(results, interrupted, [error for error in (failure, *unwritten) if error is not None])


def _real_runner(options: RunOptions) -> AbstractContextManager[Playing]:
    from harness.campaign.runner import Runner
    from harness.cli.again import command_line

    check_machine(options)
    return Runner(options, command_line)


def check_machine(options: RunOptions) -> None:
    """Raises UsageError for an interpreter, a subject, a server or a need that no run has, before a world is made."""
    from harness.machine.process.interpreter import require, require_backend
    from harness.play.options import SUBJECTS, is_url
    from harness.scenario.needs import required

    required(options.require, "--require")
    require(Path(options.python), needs_torch=options.needs_torch)
    if options.subject not in SUBJECTS:
        require_backend(Path(options.python), options.subject, SUBJECTS)
    if is_url(options.toxiproxy):
        from harness.proxies.toxiproxy import parse_url

        parse_url(options.toxiproxy)


def _reports(request: Request, cells: int) -> list[Report]:
    """The console's, then those that were chosen; one on standard output moves the console's to standard error."""
    from harness.cli.reporting import make
    from harness.reports.console import ConsoleReport, terminal

    chosen = make(request.reports)
    total = None if request.until_fail else cells * request.runs
    on_stdout = any(choice.path is None for choice in request.reports)
    return [ConsoleReport(terminal(stderr=on_stdout), total, request.quiet), *chosen]


class _Observer:
    """Hands every start to all reports."""

    def __init__(self, reports: Sequence[Report]) -> None:
        self._reports = reports

    def started(self, scenario: Scenario, attempt: int) -> None:
        for report in self._reports:
            report.started(scenario, attempt)


def _play(
    request: Request, options: RunOptions, cells: Sequence[Scenario], reports: Sequence[Report], make_runner: MakeRunner
) -> tuple[list[Result], bool, HarnessError | None]:
    """All results, whether the run was interrupted, and the error of the harness that ended it."""
    results: list[Result] = []
    try:
        with make_runner(options) as runner:
            for result in runner.run(cells, request.runs, request.until_fail, _Observer(reports)):
                for report in reports:
                    report.finished(result)
                results.append(_slim(result) if request.runs > 1 else result)
    except KeyboardInterrupt:
        return results, True, None
    except UsageError:
        raise
    except HarnessError as error:
        return results, False, error
    return results, False, None


def _slim(result: Result) -> Result:
    """A result to keep by the thousand: of a run that went well, reports need the first operation only."""
    from harness.reports.parts.facts import RED
    from harness.values.history import History

    if result.status in RED:
        return result
    return replace(result, history=History(result.history.ops[:1]))


def _close(reports: Sequence[Report], results: Sequence[Result], interrupted: bool) -> list[HarnessError]:
    """Finish every report, also when another one fails; returns what could not be written."""
    failures: list[HarnessError] = []
    for report in reports:
        try:
            report.closed(results, interrupted)
        except HarnessError as error:
            failures.append(error)
    return failures


def _exit_code(results: Sequence[Result], interrupted: bool, failures: Sequence[HarnessError]) -> int:
    for failure in failures:
        print(f"error: {failure}", file=sys.stderr)
    if interrupted:
        return INTERRUPTED
    return SOME_ERROR if failures else exit_code(result.status for result in results)
