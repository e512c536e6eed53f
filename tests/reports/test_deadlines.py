"""The table of times to an error beside the timeouts that were asked for."""

from __future__ import annotations

import io
from dataclasses import replace

from happenings import MS
from happenings import result as a_result
from rich.console import Console

from harness.history.time_to_error import CONNECT, HUNG, JOIN, KEY, OTHER, TIMED_OUT, TimeToError
from harness.reports.console import ConsoleReport
from harness.reports.json import document
from harness.reports.parts.deadlines import cells, lines
from harness.reports.parts.rows import row

SECOND = 1_000 * MS


def timed(
    took_ms: int, phase: str = JOIN, end: str = TIMED_OUT, f: str = "rendezvous", asked_ms: int = 2_000
) -> TimeToError:
    return TimeToError(1, f, f, phase, end, asked_ms * MS, took_ms * MS)


def test_quantiles_are_times_that_occurred() -> None:
    """Nearest rank: of twenty times the 95 % one is the nineteenth."""
    (line,) = lines(timed(2_000 + 10 * number) for number in range(20))
    assert [line.quantile_ns(share) // MS for share in (0, 0.5, 0.95, 1)] == [2_000, 2_090, 2_180, 2_190]


def test_lines_are_ordered_by_call_phase_timeout_and_end() -> None:
    """Joins come first, and their phases in the order in which a join goes through them."""
    found = lines(
        [
            timed(1, KEY, f="get"),
            timed(2, JOIN, OTHER),
            timed(3, JOIN, TIMED_OUT),
            timed(4, CONNECT),
            timed(5, CONNECT, asked_ms=500),
        ]
    )
    assert [(line.f, line.phase, line.asked_ns // MS, line.end) for line in found] == [
        ("rendezvous", CONNECT, 500, TIMED_OUT),
        ("rendezvous", CONNECT, 2_000, TIMED_OUT),
        ("rendezvous", JOIN, 2_000, TIMED_OUT),
        ("rendezvous", JOIN, 2_000, OTHER),
        ("get", KEY, 2_000, TIMED_OUT),
    ]


def test_an_early_timeout_is_counted() -> None:
    """An error of another kind may come at any time; a timeout may not come before its time."""
    early, other = lines([timed(1_990), timed(2_010), timed(5, end=OTHER)])
    assert (early.early, other.early) == (1, 0)
    assert cells(early)[3:6] == ("2.00 s", "2", "1")


def test_the_console_prints_the_table_only_when_asked() -> None:
    """`--deadlines` is for those who want it."""
    result = replace(a_result(), times_to_error=(timed(4_500, CONNECT), timed(9_000, JOIN, HUNG)))
    with_table, without = _printed(result, True), _printed(result, False)
    assert all(text in with_table for text in ("connect", "4.50 s", "hung"))
    assert "4.50 s" not in without


def test_the_console_says_that_there_is_nothing_to_show() -> None:
    """An empty table would leave a reader in doubt."""
    assert "no call with a timeout ended in an error" in _printed(replace(a_result(), times_to_error=()), True)


def _printed(result: object, with_deadlines: bool) -> str:
    text = io.StringIO()
    report = ConsoleReport(Console(file=text, width=140), with_deadlines=with_deadlines)
    report.closed([result], False)  # type: ignore[list-item]
    return text.getvalue()


def test_the_json_report_has_times_and_their_distribution() -> None:
    """Each row has its own times; `meta` has the lines of the whole run."""
    result = replace(a_result(), times_to_error=(timed(4_500, CONNECT), timed(5_500, CONNECT)))
    whole = document([row(result)])
    assert [time["took_ns"] for time in whole["results"][0]["times_to_error"]] == [4_500 * MS, 5_500 * MS]
    (line,) = whole["meta"]["deadlines"]
    assert (line["phase"], line["asked_ns"], line["calls"], line["median_ns"]) == (CONNECT, 2 * SECOND, 2, 4_500 * MS)
