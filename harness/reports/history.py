"""A line of JSON for each run in one file that only grows, from which the HTML report knows earlier nights."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Sequence
from pathlib import Path

from harness.reports.base import ANOTHER_FILE, REPORTS, RowReport
from harness.reports.page import nights
from harness.reports.page.nights import Night, Nights
from harness.reports.parts.clock import now
from harness.reports.parts.rows import Row
from harness.values.refusals import cannot


@REPORTS.register("history")
class HistoryReport(RowReport):
    """The status of each cell, appended to what earlier runs wrote; two such files, one behind the other, are one."""

    def nights(self) -> Nights:
        return Nights() if self._path is None else nights.read(self._path)

    def text(self, rows: Sequence[Row], interrupted: bool) -> str:
        return nights.line(Night.of(rows, now()))

    def closed_with(self, rows: Sequence[Row], interrupted: bool) -> None:
        if self._path is None:
            super().closed_with(rows, interrupted)
        elif rows:
            _append(self._path, self.text(rows, interrupted))


def _append(path: Path, line: str) -> None:
    """Append a line, one process at a time; what a process that was killed left half written is cut off first."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(path, "ab+") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            file.seek(0)
            whole = file.read().rpartition(b"\n")[:2]
            file.truncate(sum(map(len, whole)))
            file.write(line.encode())
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise cannot(f"append to the history {path}", error, ANOTHER_FILE) from error
