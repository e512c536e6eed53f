"""Commands that play nothing: reading files, explaining kinds, judging and showing stored runs."""

from __future__ import annotations

import json
import re
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from harness.cli import streams
from harness.cli.exit_codes import AS_EXPECTED, SOME_ERROR, SOME_FAILED, USAGE, exit_code
from harness.values.errors import HarnessError, ScenarioError, UsageError
from harness.values.printable import printable

if TYPE_CHECKING:
    from harness.archive import Archived
    from harness.judge.result import Result

FORMS = TEXT, PERFETTO = "text", "perfetto"


def validate(paths: Sequence[Path], fail_on_skip: bool = False) -> int:
    """Print a line for each file and every problem, without a path of the built-in ones; returns the exit code.

    Cells that would be skipped on this machine are a warning for each reason; with `fail_on_skip`, exit code 1.
    """
    from harness.loader import discover, load
    from harness.loader.builtin import ALL
    from harness.play.lacking import Machine
    from harness.play.options import AUTO

    problems = 0
    skipped: Counter[str] = Counter()
    by_torch: Counter[str] = Counter()
    with Machine() as machine:
        for path in discover(paths or [ALL]):
            try:
                cells = load(path)
            except ScenarioError as error:
                problems += len(error.problems)
                print(f"{error}\n", file=sys.stderr)
            else:
                print(f"{printable(str(path))}: ok, {len(cells)} cell{'s' if len(cells) != 1 else ''}")
                first = (next(machine.lacking(cell, AUTO), None) for cell in cells)
                skipped.update(": ".join(missing) for missing in first if missing is not None)
                by_torch.update(cell.needs["torch"] for cell in cells if "torch" in cell.needs)
    for reason, count in skipped.items():
        cells_here = f"{count} cell{'s' if count != 1 else ''}"
        print(printable(f"warning: {cells_here} would be skipped here: {reason}"), file=sys.stderr)
    for wanted, count in by_torch.items():
        cells_here = f"{count} cell{'s need' if count != 1 else ' needs'}"
        print(printable(f"note: {cells_here} torch {wanted}, else skipped: --python decides"), file=sys.stderr)
    if problems:
        print(f"{problems} problem{'s' if problems != 1 else ''}", file=sys.stderr)
        return USAGE
    return SOME_FAILED if fail_on_skip and skipped else AS_EXPECTED


def list_members(family: str | None) -> int:
    """Print the catalogue, or one family of it."""
    from harness.loader.keys.members import catalogue, needs, not_loaded, origin

    families = catalogue()
    if family is not None:
        wanted = family.removesuffix("s")
        if wanted in _TEXTS:
            return _list_texts(wanted)
        if wanted not in families:
            raise UsageError(f"there is no family {family!r}; known: {', '.join([*families, 'scenario', *_TEXTS])}")
        families = {wanted: families[wanted]}
    for number, (name, members) in enumerate(families.items()):
        print(f"{chr(10) if number else ''}{name}s")
        lines = [(it.kind, origin(name, it.kind), _with_needs(it.summary, needs(name, it.kind))) for it in members]
        kind_width, origin_width = (max((len(line[column]) for line in lines), default=0) for column in (0, 1))
        for kind, package, summary in lines:
            print(f"  {kind:{kind_width}}  {f'{package:{origin_width}}  ' if package else ''}{summary}")
    problems = [problem for problem in not_loaded() if problem.family in families]
    if problems:
        print("\nnot loaded")
        for problem in problems:
            print(f"  {problem}")
    print("\n`rdzv-harness explain KIND` shows attributes, units and an example")
    return AS_EXPECTED


def _list_texts(wanted: str) -> int:
    """Print the failures of the catalogue, or the words of the glossary."""
    for name, text in _TEXTS[wanted]():
        print(f"{name}  {text}")
    print(f"\n`rdzv-harness explain {wanted.upper()}` says more of one")
    return AS_EXPECTED


def _failures() -> Iterator[tuple[str, str]]:
    from harness.reference.failures import failures

    return ((number, failure.failure) for number, failure in failures().items())


def _words() -> Iterator[tuple[str, str]]:
    from harness.reference.glossary import terms

    width = max(len(term.name) for term in terms())
    return ((term.name.ljust(width), term.means.partition(". ")[0].rstrip(".")) for term in terms())


_TEXTS = {"failure": _failures, "word": _words}
"""What `list` and `explain` know besides the kinds."""


def _with_needs(summary: str, needed: str) -> str:
    return f"{summary} [needs {needed}]" if needed else summary


def explain(kind: str) -> int:
    """Print what a kind does."""
    from harness.reference import explain as explanation

    print(explanation(kind).rstrip())
    return AS_EXPECTED


def schema() -> int:
    """Print the JSON Schema."""
    from harness.reference import schema as document

    print(json.dumps(document(), indent=2))
    return AS_EXPECTED


def judge_again(words: Sequence[str | Path], runs_dir: Path) -> int:
    """Judge stored runs again and report; prints where a verdict has changed, and every directory that is damaged.

    Args:
        words: which runs; see `stored_runs.find`.
        runs_dir: where their names are looked for.
    """
    from harness.cli.stored_runs import find
    from harness.reports.console import ConsoleReport, terminal

    results: list[Result] = []
    refused: list[HarnessError] = []
    for word in words:
        try:
            results.append(_judged_again(find(word, runs_dir)))
        except HarnessError as error:
            refused.append(error)
    if results:
        ConsoleReport(terminal()).closed(results, interrupted=False)
    for problem in refused:
        streams.say(f"error: {problem}")
    if refused:
        return USAGE if all(isinstance(error, UsageError | ScenarioError) for error in refused) else SOME_ERROR
    return exit_code(result.status for result in results)


def _judged_again(run_dir: Path) -> Result:
    """The result of a stored run; raises HarnessError for a directory that is damaged."""
    from harness.archive import read_run
    from harness.archive.results import result_of
    from harness.judge.judge import has_crashed, judge

    archived = read_run(run_dir)
    judgement = judge(archived.scenario, archived.history, archived.steady, archived.steady_echo)
    if has_crashed(judgement) and not archived.is_checked:
        raise _odd(archived, "judged", judgement.because)
    if archived.judgement is not None and archived.judgement.status != judgement.status:
        print(printable(f"{run_dir}: was {archived.judgement.status}, is now {judgement.status}"))
    if not archived.is_checked:
        print(printable(f"{run_dir}: has no checksums, as of older releases; damage may go unnoticed"))
    return result_of(archived, judgement)


@dataclass(frozen=True)
class Wish:
    """How a run is shown.

    Attributes:
        ranks: the columns of the time line, as `0,3` or `4-7`; None is all.
        lines: of the time line, for each group of ranks; None is some screens, 0 all.
        form: `text` or `perfetto`.
        is_opened: show the page in a browser instead.
    """

    ranks: str | None = None
    lines: int | None = None
    form: str = TEXT
    is_opened: bool = False


def show(run_dir: Path, wish: Wish) -> int:
    """Print one run, or open its page; of a run that was never judged, what has happened so far.

    Raises UsageError for another form, HarnessError for a run directory that is damaged.
    """
    if wish.form not in FORMS:
        raise UsageError(f"--format {wish.form}: there is {' and '.join(FORMS)}")
    if wish.form == PERFETTO or wish.is_opened:
        from harness.cli import picturing

        return picturing.open_run(run_dir) if wish.is_opened else picturing.trace(run_dir)
    return _show_text(run_dir, wish.ranks, wish.lines)


def show_names(runs_dir: Path) -> int:
    """Print which runs there are; raises UsageError if there is none."""
    from harness.cli import stored_runs

    for line in stored_runs.lines(runs_dir):
        print(line)
    return AS_EXPECTED


def _show_text(run_dir: Path, ranks: str | None, lines: int | None) -> int:
    from harness.archive import read_run
    from harness.archive.results import result_of
    from harness.reports.timeline import LINES_SHOWN, View, of_history, of_result, terminal_width

    archived = read_run(run_dir)
    size = archived.scenario.world.size
    view = View(terminal_width(), parse_ranks(ranks, size), LINES_SHOWN if lines is None else lines)
    judgement = archived.judgement
    try:
        if judgement is None:
            text = of_history(archived.history, view, archived.scenario)
        else:
            text = of_result(result_of(archived, judgement), view)
    except Exception as error:  # its operations are sound each by itself, and odd together
        raise _odd(archived, "shown", f"{type(error).__name__}: {error}") from error
    print(text, end="")
    return AS_EXPECTED


def _odd(archived: Archived, done: str, because: str) -> HarnessError:
    """The error for a history that the harness cannot have written, or that it cannot handle."""
    from harness.archive import HISTORY

    path = archived.run_dir / HISTORY
    if not archived.is_checked:
        advice = "the run has no checksums, so it may be damaged; play the scenario again"
    else:
        advice = "the file is as it was stored, so report this as a defect of the harness, with the run directory"
    return HarnessError(f"{path}: cannot be {done} ({because}); {advice}")


def parse_ranks(text: str | None, size: int) -> tuple[int, ...]:
    """`0,3` or `4-7` as numbers; empty means all. Raises UsageError for anything else, or an unknown rank."""
    if text is None:
        return ()
    ranks: list[int] = []
    for part in text.split(","):
        span = re.fullmatch(r"\s*(\d{1,6})(?:\s*-\s*(\d{1,6}))?\s*", part)
        if span is None or int(span[2] or span[1]) >= size:
            raise UsageError(
                f"--ranks {text}: {part.strip()!r} is not a rank of this world; write 0 to {size - 1}, as 0,3 or 4-7"
            )
        ranks.extend(range(int(span[1]), int(span[2] or span[1]) + 1))
    if not ranks:
        raise UsageError(f"--ranks {text}: no rank is named; write them as 0,3 or 4-7")
    return tuple(ranks)
