"""How large a page may become; each limit is one of the design of the page."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import synthetic_runs

from harness.judge.result import Result
from harness.reports.html import HtmlReport
from harness.reports.page.block import of_result
from harness.reports.page.embed import packed
from harness.reports.page.page import app, bare, modules, plain_styles

KB = 1000
CELLS = 270


def test_scripts_and_styles_are_small() -> None:
    """As they stand in the page: packed, but for the styles of the page without scripts; every page has all of them."""
    assert len(app()) + len(plain_styles().encode()) <= 80 * 1024


def test_only_comments_and_indentation_are_left_out_of_scripts() -> None:
    """A comment behind code stays, and no text of a script goes over the end of a line, where it would be changed."""
    assert bare("/** About\n * it. */\n  const a = 1; // kept\n  // gone\nb(`/** text */`);\n") == (
        "const a = 1; // kept\nb(`/** text */`);\n"
    )
    lines = [line for text in modules().values() for line in bare(text).split("\n")]
    assert [line for line in lines if line.count("`") % 2] == []


@pytest.mark.parametrize(
    ("make", "most"),
    [(synthetic_runs.small, 8 * KB), (synthetic_runs.middle, 40 * KB), (synthetic_runs.large, 1000 * KB)],
    ids=["3 ranks", "64 ranks", "256 ranks, 10,000 operations, 30,000 messages"],
)
def test_a_run_is_small(make: Callable[[], Result], most: int) -> None:
    """Packed, with its wire; nothing of it is left out."""
    result = make()
    block = of_result(result)
    assert block["cut"] == {"ops": 0, "messages": 0}
    assert len(packed(block)) <= most


def test_a_night_is_small(tmp_path: Path) -> None:
    """270 cells with their wire, each of them red, in one file."""
    report = HtmlReport.to(tmp_path / "page.html")
    for number in range(CELLS):
        report.finished(synthetic_runs.run(3, calls=4, number=number))
    report.closed([], interrupted=False)
    assert (tmp_path / "page.html").stat().st_size <= 3000 * KB
