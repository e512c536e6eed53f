"""A page in Markdown for people, as CI services show it of a job: the counts, and what is red."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from harness.reports.base import REPORTS, RowReport
from harness.reports.parts import facts, rows
from harness.reports.parts.facts import RED
from harness.reports.parts.markdown import fenced, table_line, text
from harness.reports.parts.rows import Row
from harness.values.verdict import SKIPPED

MOST_CHARACTERS = 500_000
"""GitHub refuses a summary of 1 MB; a character may take four bytes, and few do."""

MOST_REASONS = 20


@REPORTS.register("summary")
class SummaryReport(RowReport):
    """Markdown for the page of a job: `--report summary=$GITHUB_STEP_SUMMARY`."""

    def text(self, rows: Sequence[Row], interrupted: bool) -> str:
        return "\n".join(_lines(rows, interrupted)) + "\n"


def _lines(results: Sequence[Row], interrupted: bool) -> Iterator[str]:
    counts = facts.counts(result["status"] for result in results)
    yield f"### rdzv-harness: {_headline(results)}"
    yield ""
    if interrupted:
        yield "The run was interrupted; what had not ended is not here."
        yield ""
    yield table_line(list(counts))
    yield table_line(["---:"] * len(counts))
    yield table_line([str(count) for count in counts.values()])
    yield ""
    for label, value in facts.headline(map(rows.about, results)):
        yield f"- {label}: {text(value)}"
    reasons = list(dict.fromkeys(text(result["because"]) for result in results if result["status"] == SKIPPED))
    yield from (f"- skipped: {reason}" for reason in reasons[:MOST_REASONS])
    if len(reasons) > MOST_REASONS:
        yield f"- skipped for {len(reasons) - MOST_REASONS} more reasons"
    yield ""
    yield from _reds([result for result in results if result["status"] in RED])


def _headline(results: Sequence[Row]) -> str:
    red = sum(result["status"] in RED for result in results)
    cells = f"{len(results)} cell{'s' if len(results) != 1 else ''}"
    return f"{red} of {cells} red" if red else f"none of {cells} red"


def _reds(reds: Sequence[Row]) -> Iterator[str]:
    """Each with what the console shows of it, until the page is full."""
    room = MOST_CHARACTERS
    for number, result in enumerate(reds):
        block = [f"#### {text(result['title'])}", "", *fenced(result["proof"]), ""]
        room -= sum(len(line) + 1 for line in block)
        if room < 0:
            yield f"{len(reds) - number} more are red; the other reports have them."
            return
        yield from block
