"""Annotations on GitHub: each red claim at its line of the scenario file, as commands that the runner reads."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence

from harness.reports.base import REPORTS, RowReport
from harness.reports.parts.annotation import annotation, in_repository
from harness.reports.parts.facts import RED
from harness.reports.parts.rows import Row
from harness.reports.parts.safe import one_line, some_lines
from harness.values.verdict import PASSED, SKIPPED

WORKSPACE = "GITHUB_WORKSPACE"


@REPORTS.register("github")
class GitHubReport(RowReport):
    """An error for each red claim at its line, and a warning if cells were skipped; `github=-` prints them."""

    def text(self, rows: Sequence[Row], interrupted: bool) -> str:
        return "".join(f"{line}\n" for line in commands(rows, os.environ.get(WORKSPACE, "")))


def commands(rows: Sequence[Row], root: str) -> Iterator[str]:
    """The lines. Cells and repetitions that are red in the same line of a file are one: GitHub shows ten of a step.

    Args:
        root: of the repository.
    """
    places: dict[tuple[str, int, str], list[Row]] = {}
    for row in rows:
        if row["status"] in RED:
            places.setdefault((row["path"], _line(row), row["status"]), []).append(row)
    for (_, line, status), found in places.items():
        title = one_line(f"{status}: {found[0]['id']}")
        yield annotation("error", _message(found), _file(found[0], root), line, title)
    skipped = [row for row in rows if row["status"] == SKIPPED]
    if skipped:
        reasons = dict.fromkeys(one_line(row["because"]) for row in skipped)
        message = "\n".join(some_lines("\n".join(reasons)))
        title = f"{len(skipped)} of {len(rows)} cells were skipped"
        yield annotation("warning", message, _file(skipped[0], root), 1, title)


def _file(row: Row, root: str) -> str:
    return one_line(in_repository(row["path"], root))


def _line(row: Row) -> int:
    """That of the first claim which does not hold; the first of the file where none is to blame."""
    return next((one["line"] for one in row["verdicts"] if one["status"] != PASSED and one["line"]), 1)


def _message(found: Sequence[Row]) -> str:
    """Why the first is red, how to play it again, and which others are."""
    first, *others = found
    lines = [one_line(first["because"])]
    lines += [f"again: {first['command']}"] if first["command"] else []
    names = list(dict.fromkeys(one_line(row["id"]) for row in others if row["id"] != first["id"]))
    lines += [f"also red: {', '.join(names)}"] if names else []
    return "\n".join(some_lines("\n".join(lines)))
