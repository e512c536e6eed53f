"""One HTML file that a person opens: all results, and the picture of each run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from harness.judge.result import Result
from harness.reports.base import REPORTS, RowReport
from harness.reports.page.block import of_result
from harness.reports.page.embed import packed
from harness.reports.page.index import Written, index
from harness.reports.page.nights import Nights
from harness.reports.parts.clock import now
from harness.reports.parts.rows import Row, row

BLOCK = "page"
"""The key of a row that has the packed picture of its run."""


@REPORTS.register("html")
class HtmlReport(RowReport):
    """An overview and the picture of each run, in one file that loads nothing.

    A run's picture is made when the run ends, so that its operations need not be kept.
    """

    def __init__(self, path: Path | None) -> None:
        super().__init__(path)
        self._rows: list[dict[str, Any]] = []
        self._earlier, self._history = Nights(), ""

    def remember(self, nights: Nights, name: str) -> None:
        self._earlier, self._history = nights, name

    def finished(self, result: Result) -> None:
        self._rows.append({**row(result), **self.extras(result)})

    @classmethod
    def extras(cls, result: Result) -> Mapping[str, Any]:
        return {BLOCK: packed(of_result(result))} if len(result.history) else {}

    def closed(self, results: Sequence[Result], interrupted: bool) -> None:
        self.closed_with(self._rows, interrupted)

    def text(self, rows: Sequence[Row], interrupted: bool) -> str:
        from harness.reports.page.page import render  # jinja2 is for those who ask for a page

        blocks = {number: str(row[BLOCK]) for number, row in enumerate(rows) if row.get(BLOCK)}
        written = Written(now(), interrupted, self._history)
        return render(index(rows, blocks, written, self._earlier), blocks)
