"""One run as a time line: a column for each rank, one for the nemesis, and what the controller saw across them."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.judge.result import Result
from harness.reports.base import REPORTS, FileReport, write
from harness.reports.parts import facts, waits
from harness.reports.parts.cells import LEGEND, late_together, mark, nemesis_cell, rank_cell
from harness.reports.parts.safe import one_line, shorten
from harness.scenario.scenario import Scenario
from harness.values.history import History
from harness.values.ops import NEMESIS, Op
from harness.values.stall import LAG
from harness.values.verdict import Judgement

# A rank's column takes at least so much room when ranks are put side by side; the nemesis at most a third of the width.
TIME_WIDTH, SMALLEST_COLUMN, NEMESIS_SHARE = 12, 24, 3
GAP = 2
PIPE_WIDTH = 140
# A screen or three; a stress mix has thousands of lines, too many to read.
LINES_SHOWN = 400
# Of a step that one rank calls many times, these first calls, the last one, and all that did not end ok.
CALLS_SHOWN = 2


@dataclass(frozen=True)
class View:
    """What to show.

    Attributes:
        width: columns of the terminal.
        ranks: only these; empty means all.
        lines: at most so many rows for each group of ranks; 0 means all.
    """

    width: int = PIPE_WIDTH
    ranks: tuple[int, ...] = ()
    lines: int = LINES_SHOWN


@dataclass
class _Row:
    """One line: cells by column (a rank, or `nemesis`), or a mark across all of them."""

    label: str
    cells: dict[int | str, str]
    mark: str = ""
    proof: bool = False


@REPORTS.register("timeline")
class TimelineReport(FileReport):
    """The time lines of all runs that were played, one below the other."""

    def __init__(self, path: Path | None, view: View | None = None) -> None:
        super().__init__(path)
        self._view = view or View(width=terminal_width() if path is None else PIPE_WIDTH)

    def closed(self, results: Sequence[Result], interrupted: bool) -> None:
        played = [result for result in results if len(result.history)]
        write(self._path, "\n".join(of_result(result, self._view) for result in played))


def terminal_width() -> int:
    """The width of the terminal, of COLUMNS, or of a page for a pipe."""
    if not sys.stdout.isatty() and "COLUMNS" not in os.environ:
        return PIPE_WIDTH
    return shutil.get_terminal_size((PIPE_WIDTH, 24)).columns


def of_result(result: Result, view: View) -> str:
    """The time line of one result, with its title and its verdict."""
    title = one_line(f"{result.scenario.id}: {result.status}")
    about = "   ".join(f"{label} {text}" for label, text in facts.headline([facts.about(result)]))
    broken = _broken(result.judgement)
    waited = _waits(result.scenario, result.history)
    shown = lines(result.history, view, _proof(result.judgement))
    return "\n".join([title, about, *facts.origin_lines(result), "", *shown, *broken, *waited]) + "\n"


def of_history(history: History, view: View, scenario: Scenario | None = None) -> str:
    """The time line of a run that was never judged; with its scenario, also who waited for whom."""
    waited = [] if scenario is None else _waits(scenario, history)
    return "\n".join([*lines(history, view), *waited]) + "\n"


def _waits(scenario: Scenario, history: History) -> list[str]:
    """Who waited for whom, a line for each cause."""
    found = list(waits.lines(scenario, history))
    return ["", "who waited for whom", *found] if found else []


def _proof(judgement: Judgement) -> frozenset[int]:
    return frozenset(index for verdict in judgement.broken for index in verdict.evidence)


def _broken(judgement: Judgement) -> list[str]:
    found = [one_line(f"* {verdict.name}: {verdict.because or verdict.happened}") for verdict in judgement.broken]
    return ["", *found] if found else []


def lines(history: History, view: View, proof: frozenset[int] = frozenset()) -> Iterator[str]:
    """The time line, a table for each group of ranks that fits the width; operations in `proof` are marked with `*`."""
    ranks = _ranks(history, view)
    if not len(history):
        yield "nothing has happened: the history is empty"
        return
    shown, left_out = _chosen(history)
    nemesis = _nemesis_width(history, view)
    for number, group in enumerate(_groups(ranks, view.width - TIME_WIDTH - nemesis - GAP)):
        if number:
            yield ""
        yield from _table(_rows(shown, history, group, proof), group, view, nemesis)
    yield ""
    yield LEGEND + ("   * proves a broken claim" if proof else "")
    yield from left_out
    hidden = sorted(_all_ranks(history) - set(ranks))
    if hidden:
        yield f"ranks not shown: {_spans(hidden)} (--ranks {_spans(hidden)})"


def _all_ranks(history: History) -> set[int]:
    size = history.begin.get("size")
    declared = set(range(size)) if isinstance(size, int) else set()
    return declared | {op.process.rank for op in history if op.process.rank is not None}


def _ranks(history: History, view: View) -> list[int]:
    known = sorted(_all_ranks(history))
    return [rank for rank in known if not view.ranks or rank in view.ranks]


def _nemesis_width(history: History, view: View) -> int:
    """As wide as what the nemesis did, within reason."""
    texts = (nemesis_cell(op) for op in history if op.process.thread == NEMESIS)
    return min(max(map(len, texts), default=len(NEMESIS)), (view.width - TIME_WIDTH) // NEMESIS_SHARE)


def _groups(ranks: Sequence[int], room: int) -> list[Sequence[int]]:
    fits = max(room // (SMALLEST_COLUMN + GAP), 1)
    return [ranks[first : first + fits] for first in range(0, len(ranks), fits)] or [()]


def _spans(ranks: Sequence[int]) -> str:
    """`0-3,7`: the ranks as `--ranks` takes them."""
    spans: list[list[int]] = []
    for rank in ranks:
        if spans and spans[-1][1] == rank - 1:
            spans[-1][1] = rank
        else:
            spans.append([rank, rank])
    return ",".join(str(first) if first == last else f"{first}-{last}" for first, last in spans)


def _chosen(history: History) -> tuple[list[tuple[Op, int | None]], list[str]]:
    """The operations to show, each with the time since its call began, and notices of what was left out."""
    hidden, notices = _repetitive(history)
    elapsed = {call.end.index: call.elapsed_ns for call in history.calls if call.end is not None}
    return [(op, elapsed.get(op.index)) for op in history if op.index not in hidden], notices


def _repetitive(history: History) -> tuple[set[int], list[str]]:
    """The operations of calls in the middle of a long row of calls that all went well."""
    rows: dict[tuple[int, str, int, str], list[tuple[int, ...]]] = {}
    last: dict[tuple[int, str, int, str], int] = {}
    for call in history.calls:
        key = (call.rank, call.thread, call.life, call.step)
        last[key] = max(last.get(key, 0), call.number)
    for call in history.calls:
        key = (call.rank, call.thread, call.life, call.step)
        if call.outcome == "ok" and CALLS_SHOWN < call.number < last[key]:
            rows.setdefault(key, []).append(call.evidence)
    long = {key: calls for key, calls in rows.items() if len(calls) > 1}
    notices = [
        f"rank {rank}: {len(calls)} more calls of {one_line(step)}, all ok"
        for (rank, _, _, step), calls in long.items()
    ]
    return {index for calls in long.values() for evidence in calls for index in evidence}, notices


def _rows(
    shown: Sequence[tuple[Op, int | None]], history: History, group: Sequence[int], proof: frozenset[int]
) -> list[_Row]:
    """Operations of one millisecond share a row while their columns differ: what starts together is seen together."""
    rows: list[_Row] = []
    late: list[Op] = []  # what the last row says, if that is lateness alone
    for op, elapsed in shown:
        label = _time(history, op)
        if op.process.rank is None and op.process.thread != NEMESIS:
            across = mark(op)
            if not across:
                continue
            late = [*late, op] if op.f == LAG else []
            if len(late) > 1:
                rows[-1].mark = late_together(late)
            else:
                rows.append(_Row(label, {}, across))
            continue
        column = op.process.rank if op.process.rank is not None else NEMESIS
        if column != NEMESIS and column not in group:
            continue
        text = nemesis_cell(op) if column == NEMESIS else rank_cell(op, elapsed)
        if not (rows and rows[-1].label == label and not rows[-1].mark and column not in rows[-1].cells):
            rows.append(_Row(label, {}))
        late = []
        rows[-1].cells[column] = text
        rows[-1].proof |= op.index in proof
    return rows


def _time(history: History, op: Op) -> str:
    zero = history.start_ns or history.ops[0].time_ns
    return f"{round((op.time_ns - zero) / 1e9, 3) + 0.0:.3f} s"  # + 0.0: no minus before a zero


def _table(rows: Sequence[_Row], group: Sequence[int], view: View, nemesis: int) -> Iterator[str]:
    widths = _widths([_widest(rows, rank) for rank in group], view.width - TIME_WIDTH - nemesis - GAP)
    columns: list[tuple[int | str, str, int]] = [
        (rank, f"rank {rank}", width) for rank, width in zip(group, widths, strict=True)
    ]
    columns.append((NEMESIS, NEMESIS, nemesis))
    header = "".join(" " * GAP + f"{title:{size}}" for _, title, size in columns)
    yield f"{'time':>{TIME_WIDTH - GAP}}  {header}".rstrip()
    limit = view.lines or len(rows)
    for row in rows[:limit]:
        yield _line(row, columns)
    if len(rows) > limit:
        yield f"… {len(rows) - limit} more lines cut here (--lines 0 shows all)"


def _widest(rows: Sequence[_Row], rank: int) -> int:
    return max((len(row.cells.get(rank, "")) for row in rows), default=0)


def _widths(wanted: Sequence[int], room: int) -> list[int]:
    """The width of each column: as wanted where all fit; else narrow ones keep theirs and wide ones share the rest."""
    given = dict.fromkeys(range(len(wanted)), 0)
    room -= GAP * len(wanted)
    for count, column in enumerate(sorted(given, key=lambda column: wanted[column])):
        share = room // (len(wanted) - count)
        given[column] = min(max(wanted[column], len("rank 000")), share)
        room -= given[column]
    return list(given.values())


def _line(row: _Row, columns: Sequence[tuple[int | str, str, int]]) -> str:
    flag = "*" if row.proof else " "
    start = f"{row.label:>{TIME_WIDTH - GAP}} {flag}"
    if row.mark:
        return f"{start}  ── {row.mark} ──"
    cells = (f"{shorten(row.cells.get(column, ''), size):{size}}" for column, _, size in columns)
    return (start + "".join(" " * GAP + cell for cell in cells)).rstrip()
