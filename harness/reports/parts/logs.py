"""What the ranks of a job wrote last: the end of each rank's log, which says more than an exit status."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.judge.result import Result
from harness.machine.regular import NotReadable, read_end_of_regular
from harness.reports.parts.safe import one_line

LINES_SHOWN = 10
TAIL_BYTES = 4096
"""Read of each log: room for ten long lines, and so little that a world of 256 ranks stays readable by a program."""
LONGEST_LINE = 300
RANKS_SHOWN = 8
"""On a screen; the JSON report has all."""

_FILE = re.compile(r"rank-(?P<rank>\d{1,9})\.life-(?P<life>\d{1,9})\.log", re.ASCII)


@dataclass(frozen=True)
class Tail:
    """The end of a rank's log.

    Attributes:
        path: the log of the rank's last life.
        lines: the last ones that are not blank, oldest first, control characters as escapes.
    """

    rank: int
    path: Path
    lines: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        return {"rank": self.rank, "path": str(self.path), "lines": list(self.lines)}


def tails_of(result: Result) -> tuple[Tail, ...]:
    """The ends of the logs of a job, by rank; none of a scenario with steps, whose calls say what happened."""
    if result.scenario.job is None or result.run_dir is None:
        return ()
    return tuple(Tail(rank, path, _last_lines(path)) for rank, path in sorted(_last_lives(result.run_dir / "logs")))


def blocks(result: Result) -> Iterator[tuple[str, ...]]:
    """For each rank the path of its log and the lines below it; what is left out is counted."""
    tails = tails_of(result)
    for tail in tails[:RANKS_SHOWN]:
        yield (one_line(str(tail.path)), *(f"  {line}" for line in tail.lines or ("(it wrote nothing)",)))
    if len(tails) > RANKS_SHOWN:
        yield (f"… {len(tails) - RANKS_SHOWN} more ranks; their logs are in the same folder",)


def _last_lives(folder: Path) -> Iterator[tuple[int, Path]]:
    """Each rank and the log of its last life."""
    lives: dict[int, tuple[int, Path]] = {}
    for path in _listed(folder):
        name = _FILE.fullmatch(path.name)
        if name is not None:
            rank = int(name["rank"])
            lives[rank] = max(lives.get(rank, (0, path)), (int(name["life"]), path))
    return ((rank, path) for rank, (_, path) in lives.items())


def _listed(folder: Path) -> list[Path]:
    try:
        return list(folder.iterdir())
    except (OSError, ValueError):  # ValueError: no file can have this name
        return []


def _last_lines(path: Path) -> tuple[str, ...]:
    try:
        text = read_end_of_regular(path, TAIL_BYTES).decode("utf-8", errors="replace")
    except (OSError, ValueError, NotReadable) as exc:
        return (f"(it cannot be read: {one_line(str(exc), LONGEST_LINE)})",)
    lines = [line.rstrip() for line in text.splitlines() if line.strip()]
    return tuple(one_line(line, LONGEST_LINE) for line in lines[-LINES_SHOWN:])
