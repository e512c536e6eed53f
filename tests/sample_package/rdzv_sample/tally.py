"""A report: how many cells had which status."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from harness.judge.result import Result
from harness.reports.base import REPORTS, FileReport, write


@REPORTS.register("tally")
class TallyReport(FileReport):
    """A line for each status, in alphabetical order."""

    def closed(self, results: Sequence[Result], interrupted: bool) -> None:
        counts = Counter(result.status for result in results)
        write(self._path, "".join(f"{status} {count}\n" for status, count in sorted(counts.items())))
