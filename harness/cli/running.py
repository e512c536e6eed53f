"""`run`: from paths to results, reports and an exit code; Ctrl-C heals, ends everything and still reports."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, closing
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from harness.cli import clustering, streams
from harness.cli.exit_codes import INTERRUPTED, NOTHING_SELECTED, SOME_ERROR, exit_code
from harness.cli.selecting import check_programs, load_all, select, with_torch
from harness.values.errors import HarnessError, UsageError
from harness.values.refusals import cannot
from harness.values.verdict import SKIPPED

if TYPE_CHECKING:
    from harness.cli.reporting import ReportChoice
    from harness.cli.shards import Shard
    from harness.judge.result import Result
    from harness.play.options import RunOptions
    from harness.reports.base import Part, Report
    from harness.scenario.scenario import Scenario

# `--until-fail` alone: enough for a weekend.
UNTIL_FAIL_RUNS = 10_000

CONSOLE = "the console"

# How a run ended.
WHOLE, INTERRUPT, AT_FIRST_RED = "whole", "interrupt", "at the first red"


@dataclass(frozen=True)
class Request:
    """What is played, how often, and what is reported; `RunOptions` say how.

    Attributes:
        paths: files, folders and built-in scenarios; none is all built-in ones.
        tags, names: expressions that select cells, or None.
        repeat: how often each cell is played; None is once, or with `until_fail` until one is red.
        reports: those beside the console's.
        deadlines: whether the console shows the times to an error.
        fail_on_skip: whether a skipped cell makes the run fail.
        last_failed: only the cells that were red when they were played last.
        shard: only this part of the cells.
        durations: how many of the slowest plays the console shows; 0 is all, None none.
        fail_fast: end at the first red result.
        alone: whether the lines that play a cell again are to read no file with defaults.
        cluster: the machines that play, as `KIND:ADDRESS`; None is this one.
        ledger: where a cluster's results are kept.
    """

    paths: tuple[Path, ...]
    tags: str | None = None
    names: str | None = None
    repeat: int | None = None
    until_fail: bool = False
    reports: tuple[ReportChoice, ...] = ()
    quiet: bool = False
    deadlines: bool = False
    fail_on_skip: bool = False
    last_failed: bool = False
    shard: Shard | None = None
    durations: int | None = None
    fail_fast: bool = False
    alone: bool = False
    cluster: str | None = None
    ledger: Path | None = None

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
    clustering.check(request.cluster, request.ledger, options)
    cells, of = _selected(request, options)
    if not cells:
        return NOTHING_SELECTED
    options = replace(options, python=with_torch(options.python))
    part = None if request.shard is None else _part(request, request.shard, len(cells), of)
    return play_cells(request, options, cells, make_runner, part)


def play_cells(
    request: Request,
    options: RunOptions,
    cells: Sequence[Scenario],
    make_runner: MakeRunner | None = None,
    part: Part | None = None,
) -> int:
    """Play these cells and report; returns the exit code. Raises UsageError before anything is played."""
    reports = _reports(request, len(cells))
    if part is not None:
        reports.covers(part)
    with ExitStack() as held:  # the run directories that the reports name
        held.callback(reports.release)
        reports.opened(_first_of_all(request, options))
        make = make_runner or _maker(request, held)
        results, ended, failure = _play(request, options, cells, reports, make)
        reports.close(results, interrupted=ended != WHOLE)
        _remember(options, results)
    if failure is not None and not isinstance(failure, HarnessError):
        _say_all(reports.problems)
        raise failure  # what ended before it is reported
    problems = [error for error in (failure, *reports.problems) if error is not None]
    return _exit_code(results, ended == INTERRUPT, problems, request.fail_on_skip)


def _maker(request: Request, held: ExitStack) -> MakeRunner:
    """Of a runner for this machine or for those of a cluster; `held` releases its run directories."""
    if request.cluster is None:
        return partial(_real_runner, held, request.alone)
    return partial(clustering.runner, held, request.cluster, request.ledger, request.alone)


def _first_of_all(request: Request, options: RunOptions) -> str:
    """What takes time until the first cell starts."""
    if request.cluster is not None:
        return f"asking the machines of {request.cluster}"
    return "importing torch" if options.needs_torch else "making a world"


def _part(request: Request, shard: Shard, cells: int, of: int) -> Part:
    from harness.reports.base import Part

    return Part(shard.number, shard.count, cells, of, 0 if request.until_fail else request.runs)


def _selected(request: Request, options: RunOptions) -> tuple[list[Scenario], int]:
    """The cells that are played, and how many there are with all other shards; if there are none, why is said."""
    cells = select(load_all(request.paths, options.subject == "command"), request.tags, request.names)
    check_programs(cells, options)
    if not cells:
        streams.say("nothing selected: no cell fits --tags and -k; `rdzv-harness validate` lists the files")
    of = len(cells)
    if cells and request.shard is not None:
        cells = _in_shard(cells, request.shard)
    return (_red_before(cells, options) if cells and request.last_failed else cells), of


def _in_shard(cells: list[Scenario], shard: Shard) -> list[Scenario]:
    part = shard.of(cells)
    if not part:
        streams.say(
            f"nothing selected: --shard {shard} of {len(cells)} cells is empty; give at most {len(cells)} parts"
        )
    return part


def _red_before(cells: list[Scenario], options: RunOptions) -> list[Scenario]:
    """Those that were red when they were played last; all of them if nothing was, which is said."""
    from harness.cli import last_failed

    red = last_failed.read(options.runs_dir)
    chosen = last_failed.narrow(cells, red)
    if chosen:
        return chosen
    if not red:
        streams.say(f"--last-failed: nothing is red in {options.runs_dir}, so all is played")
        return cells
    streams.say(
        f"nothing selected: --last-failed: {len(red)} red in {options.runs_dir}, but none of them is selected; "
        "widen the paths, --tags, -k or --shard"
    )
    return []


def _remember(options: RunOptions, results: Sequence[Result]) -> None:
    """For the next `--last-failed`; a run is not worth less because it cannot be stored."""
    from harness.cli import last_failed

    try:
        last_failed.remember(options.runs_dir, results)
    except HarnessError as error:
        streams.say(f"--last-failed will not know of this run: {error}")


def _real_runner(held: ExitStack, alone: bool, options: RunOptions) -> AbstractContextManager[Playing]:
    from harness.archive import RunDirs
    from harness.campaign.runner import Runner
    from harness.cli.again import command_line

    check_machine(options)
    run_dirs = RunDirs(options.runs_dir, options.keep)
    held.callback(run_dirs.release)
    return Runner(options, partial(command_line, alone=alone), run_dirs=run_dirs)


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
        from harness.machine.toxiproxy.given import require_answer

        require_answer(options.toxiproxy)


def _reports(request: Request, cells: int) -> _Reports:
    """The console's, then those that were chosen; one on standard output moves the console's to standard error."""
    from harness.cli.reporting import make, place
    from harness.reports.console import ConsoleReport, terminal

    chosen = make(request.reports)
    total = None if request.until_fail else cells * request.runs
    on_stdout = any(choice.path is None for choice in request.reports)
    console = ConsoleReport(
        terminal(stderr=on_stdout),
        total,
        request.quiet,
        with_deadlines=request.deadlines,
        durations=request.durations,
        fails_fast=request.fail_fast,
    )
    others = {place(choice): report for choice, report in zip(request.reports, chosen, strict=True)}
    return _Reports({CONSOLE: console, **others})


class _Reports:
    """All reports of a run; one that fails does not stop the others.

    Args:
        reports: each with a name for messages.

    Attributes:
        problems: why reports were not written, the first reason of each; those of standard output show when it is
            flushed.
    """

    def __init__(self, reports: Mapping[str, Report]) -> None:
        self._reports = reports
        self._problems: dict[str, Exception] = {}

    @property
    def problems(self) -> list[HarnessError]:
        return [_unwritten(name, error) for name, error in self._problems.items() if not _is_of_stream(name, error)]

    @property
    def all_failed(self) -> bool:
        return len(self._problems) == len(self._reports)

    def opened(self, doing: str) -> None:
        self._each(lambda report: report.opened(doing))

    def release(self) -> None:
        """Leave the terminal as it was, however the run ended."""
        self._each(lambda report: report.released())

    def covers(self, part: Part) -> None:
        self._each(lambda report: report.covers(part))

    def started(self, scenario: Scenario, attempt: int) -> None:
        self._each(lambda report: report.started(scenario, attempt))

    def finished(self, result: Result) -> None:
        self._each(lambda report: report.finished(result))

    def close(self, results: Sequence[Result], interrupted: bool) -> None:
        """Finish every report, also those that have failed before: there may be space again."""
        failed, self._problems = self._problems, {}
        self._each(lambda report: report.closed(results, interrupted))
        self._problems = {**self._problems, **failed}

    def _each(self, act: Callable[[Report], None]) -> None:
        for name, report in self._reports.items():
            if name in self._problems:
                continue
            try:
                act(report)
            except Exception as error:  # whatever it is, the results must reach the other reports
                self._problems[name] = error


def _is_of_stream(name: str, error: Exception) -> bool:
    return name == CONSOLE and isinstance(error, OSError)


def _unwritten(name: str, error: Exception) -> HarnessError:
    return error if isinstance(error, HarnessError) else cannot(f"write {name}", error)


def _play(
    request: Request, options: RunOptions, cells: Sequence[Scenario], reports: _Reports, make_runner: MakeRunner
) -> tuple[list[Result], str, Exception | None]:
    """All results, how the run ended, and what ended it early."""
    from harness.reports.parts.facts import RED

    results: list[Result] = []
    try:
        # Closing the plays heals and ends what still runs.
        with make_runner(options) as runner, closing(_plays(runner, request, cells, reports)) as plays:
            for result in plays:
                reports.finished(result)
                results.append(_slim(result) if request.runs > 1 else result)
                if reports.all_failed:
                    break  # nobody would ever see a result
                if request.fail_fast and result.status in RED:
                    return results, AT_FIRST_RED, None
    except KeyboardInterrupt:
        return results, INTERRUPT, None
    except UsageError as error:
        if not results:
            raise
        return results, WHOLE, error
    except Exception as error:
        return results, WHOLE, error
    return results, WHOLE, None


def _plays(
    runner: Playing, request: Request, cells: Sequence[Scenario], reports: _Reports
) -> Generator[Result, None, None]:
    yield from runner.run(cells, request.runs, request.until_fail, reports)


def _slim(result: Result) -> Result:
    """A result to keep by the thousand: of a run that went well, reports need the first operation and the waits."""
    from harness.reports.parts import waits
    from harness.reports.parts.facts import RED
    from harness.values.history import History

    if result.status in RED:
        return result
    return replace(result, history=History(result.history.ops[:1]), waits=waits.of(result))


def _say_all(failures: Sequence[HarnessError]) -> None:
    for failure in failures:
        streams.say(f"error: {failure}")


def _exit_code(
    results: Sequence[Result], interrupted: bool, failures: Sequence[HarnessError], fail_on_skip: bool
) -> int:
    _say_all(failures)
    statuses = [result.status for result in results]
    if fail_on_skip and SKIPPED in statuses:
        skipped = statuses.count(SKIPPED)
        streams.say(f"error: {skipped} of {len(statuses)} skipped, and --fail-on-skip is given; the reasons are above")
    if interrupted:
        return INTERRUPTED
    return SOME_ERROR if failures else exit_code(statuses, fail_on_skip)
