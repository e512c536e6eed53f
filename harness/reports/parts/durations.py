"""The slowest plays of a run."""

from __future__ import annotations

from collections.abc import Sequence

from harness.judge.result import Result
from harness.reports.parts.safe import one_line


def lines(results: Sequence[Result], count: int) -> list[str]:
    """A title and a line for each of the slowest plays, the slowest first; 0 is all. What was not played has none."""
    played = sorted((one for one in results if one.run_dir is not None), key=lambda one: -one.seconds)
    shown = played[:count] if count else played
    total = sum(one.seconds for one in played)
    title = f"slowest {len(shown)} of {len(played)} plays, {total:.2f} s together"
    return ["", title, *map(_line, shown)] if shown else ["", "durations: nothing was played"]


def _line(result: Result) -> str:
    attempt = f" run {result.attempt}" if result.attempt > 1 else ""
    folder = result.scenario.path.parent.name
    return one_line(f"{result.seconds:9.2f} s  {f'{folder}/' if folder else ''}{result.scenario.id}{attempt}")
