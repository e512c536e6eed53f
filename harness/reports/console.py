"""What a person sees: what runs now, then a table to read in ten seconds, then every red result with its proof."""

from __future__ import annotations

import errno
import os
import sys
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import NoReturn, TextIO, cast

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from harness import clock
from harness.judge.result import Result
from harness.reports.base import REPORTS, LateFile, Report, check_writable
from harness.reports.parts import deadlines, durations, facts, red, waits
from harness.reports.parts.safe import one_line, shorten
from harness.reports.parts.statistics import of_n
from harness.scenario.scenario import Scenario
from harness.values.verdict import ERROR, FAILED, KNOWN, PASSED, SKIPPED, VACUOUS, worst

STYLES = {
    PASSED: "green",
    KNOWN: "cyan",
    FAILED: "bold red",
    VACUOUS: "bold yellow",
    ERROR: "bold magenta",
    SKIPPED: "dim",
}

# Passed cells have a row each while the table fits a screen; beyond, a folder has one row.
PASSED_ROWS_SHOWN = 20
# Cells of one file that ended alike have a row each up to here; beyond, they share one.
ALIKE_ROWS_SHOWN = 3
# Of one cell that is red again and again, the first few runs say it all.
RED_RUNS_SHOWN = 3
# A pipe has no width; log viewers of CI services show about this much.
PIPE_WIDTH = 140
# A name that needs more of the line than this is folded, so that the reason keeps its room.
NAME_SHARE = 0.5
# What status, seconds and the gaps take of a row.
TABLE_START = 20
# Where the names of a live line begin, and what is below them.
LINE_START = 19
# What a row says of a red result that names no claim: its block has the reason.
BELOW = "see below"
Row = tuple[str, str, float, str]


@REPORTS.register("console")
class ConsoleReport(Report):
    """Live while the run goes on, complete at its end.

    Args:
        console: where to write.
        total: how many results are expected; None if that is not known.
        quiet: nothing for each cell; at the end no rows of what went as expected.
        with_deadlines: at the end also the times to an error, beside the timeouts that were asked for.
        durations: at the end also so many of the slowest plays; 0 is all, None none.
        fails_fast: whether a run that is cut short was stopped by its first red result.
        now_ns: the clock.
        closes: whether the console's file is closed at the end.
    """

    def __init__(
        self,
        console: Console,
        total: int | None = None,
        quiet: bool = False,
        now_ns: Callable[[], int] = clock.now_ns,
        closes: bool = False,
        with_deadlines: bool = False,
        durations: int | None = None,
        fails_fast: bool = False,
    ) -> None:
        self._with_deadlines = with_deadlines
        self._durations = durations
        self._fails_fast = fails_fast
        self._total = total
        self._console = console
        self._closes = closes
        self._quiet = quiet
        self._now_ns = now_ns
        self._begun_ns = now_ns()
        self._played = False
        self._running: dict[tuple[str, int], None] = {}
        self._progress = _progress(console) if console.is_terminal and not quiet else None
        self._task = self._progress.add_task("", total=total) if self._progress else None

    @classmethod
    def to(cls, path: Path | None) -> Report:
        if path is None:
            return cls(terminal())
        file = cast(TextIO, LateFile(check_writable(path)))
        return cls(Console(file=file, width=PIPE_WIDTH), closes=True)

    def opened(self, doing: str) -> None:
        if self._progress is not None and self._task is not None:
            self._progress.update(self._task, description=f"starting: {doing} ...")
            self._progress.start()

    def released(self) -> None:
        if self._progress is not None and self._progress.live.is_started:
            self._progress.stop()

    def started(self, scenario: Scenario, attempt: int) -> None:
        self._played = True
        self._running[_key(scenario, attempt)] = None
        if self._progress is not None:
            self._progress.start()
        self._show_running()

    def finished(self, result: Result) -> None:
        self._running.pop(_key(result.scenario, result.attempt), None)
        if self._progress is None:
            if not self._quiet:
                self._print_line(result)
            return
        if result.status in facts.RED:
            self._print_line(result)
        if self._task is not None:
            self._progress.advance(self._task)
        self._show_running()

    def closed(self, results: Sequence[Result], interrupted: bool) -> None:
        with ExitStack() as ending:
            if self._closes:
                ending.callback(self._console.file.close)
            self._print_all(results, interrupted)

    def _print_all(self, results: Sequence[Result], interrupted: bool) -> None:
        if self._progress is not None:
            self._progress.stop()
        if not results and not interrupted:  # nothing was played; the error that follows says why
            return
        seconds = (self._now_ns() - self._begun_ns) / 1e9 if self._played else None
        self._print_table(results)
        if self._with_deadlines:
            self._print_deadlines(results)
        if self._durations is not None:
            for line in durations.lines(results, self._durations):
                self._console.print(Text(line), soft_wrap=True)
        reds = [result for result in results if result.status in facts.RED]
        self._print_reds(reds)
        if reds:  # what is said last is what stays on the screen
            self._console.print()
        self._print_summary(results, seconds, interrupted)

    def _print_line(self, result: Result) -> None:
        why = facts.why(result)
        attempt = f" run {result.attempt}" if result.attempt > 1 else ""
        start = Text(f"{facts.SHORT[result.status]:8}", STYLES[result.status])
        start.append(f"{result.seconds:7.2f} s", "none")
        line = Text(f"{one_line(_label(result.scenario))}{attempt}")
        self._print_beside(start, line.append(f"   {why}" if why else "", "dim"))
        waited = one_line(waits.of(result).sentence) if result.status == KNOWN else ""
        if waited:  # a red one has it in its block
            self._print_beside(Text(), Text(waited, "dim"))

    def _print_beside(self, start: Text, text: Text, begin: int = LINE_START) -> None:
        """One line for a log; on a terminal what does not fit is below the text, not below its start."""
        start.pad_right(begin - len(start))
        if not self._console.is_terminal:
            self._console.print(start.append_text(text), soft_wrap=True)
            return
        grid = Table.grid()
        grid.add_column(width=begin, no_wrap=True)
        grid.add_column(overflow="fold")
        grid.add_row(start, text)
        self._console.print(grid)

    def _show_running(self) -> None:
        if self._progress is None or self._task is None:
            return
        names = [one_line(name) for name, _ in self._running]
        room = max(self._console.width - 40, 20)
        self._progress.update(self._task, description=shorten(", ".join(names), room))

    def _print_table(self, results: Sequence[Result]) -> None:
        self._console.print()
        for label, text in facts.headline(dict.fromkeys(map(facts.about, results))):
            self._console.print(Text(f"{label:10}{text}"), soft_wrap=True)
        self._console.print()
        many_skipped = _many_skipped(results, 0 if self._quiet else ALIKE_ROWS_SHOWN)
        rows = _rows(results, many_skipped, self._quiet)
        if rows:
            self._console.print(_table(rows, self._console.width))
            self._console.print()
        for why, count in many_skipped.items():
            self._console.print(Text(f"{count} skipped: {why}", STYLES[SKIPPED]), soft_wrap=True)

    def _print_summary(self, results: Sequence[Result], seconds: float | None, interrupted: bool) -> None:
        text = Text(facts.summary(results, seconds), STYLES[_worst(results)])
        if interrupted:
            text.append(self._cut_short(results), "bold red")
        unnamed = sum(result.judgement.unnamed_calls for result in results)
        if unnamed:
            self._console.print(Text(f"calls that no claim names: {unnamed}", "dim"))
        for line in facts.disturbed(results):
            self._console.print(Text(line, STYLES[ERROR]), soft_wrap=True)
        self._console.print(text, soft_wrap=True)  # the last line: a reader of only that sees what was skipped

    def _cut_short(self, results: Sequence[Result]) -> str:
        """Why not all was played; after a first red result also how many plays are missing."""
        if not self._fails_fast or not any(result.status in facts.RED for result in results):
            return "; interrupted, the rest was not played"
        missing = "the rest" if self._total is None else self._total - len(results)
        return f"; stopped at the first red result, {missing} not played"

    def _print_deadlines(self, results: Sequence[Result]) -> None:
        lines = deadlines.lines(time for result in results for time in result.times_to_error)
        self._console.print()
        if not lines:
            self._console.print(Text("deadlines: no call with a timeout ended in an error"))
            return
        table = Table(box=None, pad_edge=False, show_edge=False)
        for place, name in enumerate(deadlines.HEAD):
            table.add_column(name, justify="left" if place < deadlines.NAMES else "right", no_wrap=True)
        for line in lines:
            table.add_row(*map(Text, deadlines.cells(line)))
        self._console.print(table)

    def _print_reds(self, reds: Sequence[Result]) -> None:
        for runs in _by_cell(reds):
            for result in runs[:RED_RUNS_SHOWN]:
                self._console.print()
                self._console.print(Text(red.title(result), STYLES[result.status]), soft_wrap=True)
                self._print_body(red.body(result))
            if len(runs) > RED_RUNS_SHOWN:
                more = len(runs) - RED_RUNS_SHOWN
                self._console.print(
                    Text(f"\n… {more} more red runs of {one_line(_label(runs[0].scenario))}"), soft_wrap=True
                )

    def _print_body(self, lines: Iterable[str]) -> None:
        for line in lines:
            label, text = line[: red.TEXT_START], line[red.TEXT_START :]
            if not text or label.strip() in red.COPIED:  # a command that is folded cannot be copied
                self._console.print(Text(line), soft_wrap=True)
            else:
                self._print_beside(Text(label), Text(text), red.TEXT_START)


def describe(result: Result) -> str:
    """Everything a red result has to say, as plain text: for other tools that show failures, such as pytest."""
    return red.text(result)


def terminal(stderr: bool = False) -> Console:
    """Standard output or error as rich knows it: colours and movement on a terminal only, never with NO_COLOR."""
    stream = sys.stderr if stderr else sys.stdout
    width = None if stream.isatty() or "COLUMNS" in os.environ else PIPE_WIDTH
    return _Console(stderr=stderr, width=width, highlight=False, markup=False, emoji=False)


class _Console(Console):
    """A console whose reader may go away: rich would end the process with all that is still to be reported."""

    def on_broken_pipe(self) -> NoReturn:
        raise BrokenPipeError(errno.EPIPE, os.strerror(errno.EPIPE))


def _progress(console: Console) -> Progress:
    return Progress(
        SpinnerColumn(),
        BarColumn(bar_width=16),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.description}", markup=False),
        console=console,
        transient=True,
    )


def _key(scenario: Scenario, attempt: int) -> tuple[str, int]:
    return (_label(scenario), attempt)


def _label(scenario: Scenario) -> str:
    """The last folder and the id: enough to know the file, short enough for a row."""
    folder = scenario.path.parent.name
    return f"{folder}/{scenario.id}" if folder else scenario.id


def _by_cell(results: Iterable[Result]) -> list[list[Result]]:
    cells: dict[tuple[str, str], list[Result]] = {}
    for result in results:
        cells.setdefault((str(result.scenario.path), result.scenario.cell_id), []).append(result)
    return list(cells.values())


def _rows(results: Sequence[Result], counted: Collection[str], quiet: bool) -> list[Row]:
    """A row for each cell, what went wrong last, nearest to its proof; many that ended alike share one.

    Args:
        counted: the reasons for which so many cells were skipped that only their number is shown.
    """
    cells = [runs for runs in _by_cell(results) if _worst(runs) != SKIPPED or facts.why(runs[0]) not in counted]
    if any(len(runs) > 1 for runs in cells):  # k of N is what was asked for: of each cell
        return sorted(map(_row, cells), key=_rank)
    if quiet:
        cells = [runs for runs in cells if _worst(runs) in facts.RED]
    passed = [runs for runs in cells if _worst(runs) == PASSED]
    rows = [_row(runs) for runs in passed] if len(passed) <= PASSED_ROWS_SHOWN else _folders(passed)
    return sorted([*rows, *_alike([runs for runs in cells if runs not in passed])], key=_rank)


def _many_skipped(results: Sequence[Result], more_than: int) -> dict[str, int]:
    """Reasons for which many cells were skipped, and how many cells: a line for each reason in place of many rows."""
    counts = Counter(facts.why(result) for result in results if result.status == SKIPPED and result.attempt == 1)
    return {why: count for why, count in counts.items() if count > more_than}


def _rank(row: Row) -> int:
    return (PASSED, KNOWN, SKIPPED, VACUOUS, ERROR, FAILED).index(row[0])


def _alike(cells: Sequence[Sequence[Result]]) -> list[Row]:
    groups: dict[tuple[str, str], list[Sequence[Result]]] = {}
    for runs in cells:
        groups.setdefault((str(runs[0].scenario.path), _worst(runs)), []).append(runs)
    rows: list[Row] = []
    for (_, status), group in groups.items():
        if len(group) <= ALIKE_ROWS_SHOWN:
            rows += map(_row, group)
            continue
        _, _, _, why = _row(group[0])
        first = group[0][0].scenario
        name = f"{_label(first).removesuffix(f'[{first.cell_id}]')} ({len(group)} cells)"
        rows.append((status, name, sum(run.seconds for runs in group for run in runs), why))
    return rows


def _worst(runs: Sequence[Result]) -> str:
    return worst(tuple(run.status for run in runs)) or SKIPPED


def _row(runs: Sequence[Result]) -> Row:
    status = _worst(runs)
    decisive = next(run for run in runs if run.status == status)
    shown = [run for run in runs if run.status in facts.RED][:RED_RUNS_SHOWN]
    why = _named(decisive) if any(run is decisive for run in shown) else facts.why(decisive)
    if len(runs) > 1:
        why = f"{share(runs)}{': ' + why if why else ''}"
    return (status, _label(decisive.scenario), sum(run.seconds for run in runs), why)


def _named(result: Result) -> str:
    """What broke of a red result, by name: its block below the table says why."""
    return one_line(", ".join(verdict.name for verdict in result.judgement.broken)) or BELOW


def share(runs: Sequence[Result]) -> str:
    """`18 of 20 passed (95 % interval ...)`, for the repetitions of one cell; skipped ones do not count."""
    played = [run.status for run in runs if run.status != SKIPPED]
    good = [status for status in played if status in (PASSED, KNOWN)]
    what = "passed" if set(good) <= {PASSED} else "known failures" if set(good) == {KNOWN} else "as expected"
    return of_n(len(good), len(played), what)


def _folders(passed: Sequence[Sequence[Result]]) -> list[Row]:
    folders: dict[str, list[Result]] = {}
    for runs in passed:
        folders.setdefault(runs[0].scenario.path.parent.as_posix(), []).extend(runs)
    return [
        (PASSED, f"{folder}/", sum(run.seconds for run in runs), f"{len(runs)} passed")
        for folder, runs in folders.items()
    ]


def _table(rows: Sequence[Row], room: int) -> Table:
    table = Table(box=None, pad_edge=False, show_edge=False)
    table.add_column("status", no_wrap=True)
    table.add_column("seconds", justify="right", no_wrap=True)
    rows = [(status, one_line(name), seconds, why) for status, name, seconds, why in rows]
    names, whys, room = max(len(row[1]) for row in rows), max(len(row[3]) for row in rows), room - TABLE_START
    name_width = max(min(names, max(int(room * NAME_SHARE), room - whys)), 20)
    table.add_column("scenario", overflow="fold", width=name_width)
    table.add_column("why" if any(row[3] for row in rows) else "", overflow="fold", max_width=room - name_width)
    for status, name, seconds, why in rows:
        style = STYLES[status]
        table.add_row(Text(facts.SHORT[status], style), f"{seconds:.2f}", Text(name), Text(why))
    return table
