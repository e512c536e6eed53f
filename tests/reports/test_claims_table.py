"""The table of several subjects: one word for each claim and subject, and no row for what all keep."""

from __future__ import annotations

from typing import Any

import pytest

from harness.reports.parts.claims_table import Column, Row, markdown, word


def row(cell: str = "late", status: str = "passed", **changes: Any) -> Row:
    name = cell.split("[")[0]
    given = {"because": "as claimed", "known_refs": [], "title": f"{name} joins", "path": f"s/{name}.rdzv.yaml"}
    return {"id": cell, "status": status, **given, **changes}


KNOWN = row(status="known failure", known_refs=["F05"])
SKIPPED = row(status="skipped", because="engine: no Docker engine (there is no socket); install one")


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ([row()], "kept"),
        ([KNOWN], "broken (F05)"),
        ([row(status="failed")], "broken (not known)"),
        ([KNOWN, row(status="failed")], "broken (F05, not known)"),
        ([row(), KNOWN], "broken (F05)"),
        ([row("late[a]"), row("late[b]", "known failure", known_refs=["F01"])], "broken in 1 of 2 cells (F01)"),
        ([row("late[a]"), row("late[b]", "skipped")], "kept"),
        ([row("late[a]", "known failure"), row("late[b]", "skipped")], "broken (known)"),
        ([row("late[a]"), row("late[b]", "vacuous")], "no verdict (vacuous)"),
        ([row(status="error")], "no verdict (error)"),
        ([row(status="error"), row(status="failed")], "broken (not known)"),
        ([SKIPPED], "not played (engine: no Docker engine)"),
    ],
)
def test_a_word_is_the_worst_of_a_claim(rows: list[Row], expected: str) -> None:
    """Broken in one cell or repetition is broken; what was not judged is never kept."""
    assert word(rows) == expected


def table(*columns: list[Row]) -> list[str]:
    return markdown([Column(f"s{number}", rows) for number, rows in enumerate(columns)]).splitlines()


def test_a_claim_that_all_keep_or_none_plays_has_no_row() -> None:
    """The closing line counts them."""
    first = [row("a"), row("b"), {**KNOWN, "path": "s/c.rdzv.yaml"}, {**SKIPPED, "path": "s/d.rdzv.yaml"}]
    lines = table(first, first)
    assert [line.split(" | ")[1:] for line in lines[2:-2]] == [["broken (F05)", "broken (F05) |"]]
    assert lines[-1] == "2 other claims are kept by all. 1 claim was played by none."


def test_who_did_not_play_differs_from_who_keeps() -> None:
    """Else a claim that was never tried would count as kept by all."""
    assert (
        table([row()], [SKIPPED])[2]
        == "| [late joins](s/late.rdzv.yaml) | kept | not played (engine: no Docker engine) |"
    )


def test_without_a_row_there_is_no_table() -> None:
    """Only the closing line."""
    assert table([row()], [row()]) == ["1 claim is kept by all."]


def test_if_nothing_is_kept_by_all_the_closing_line_says_so() -> None:
    """Never a count that is missing."""
    assert table([KNOWN], [row()])[-1] == "No other claim is kept by all."


def test_rows_are_in_the_order_of_the_files() -> None:
    """Whatever order they ended in."""
    first = [{**KNOWN, "path": f"s/{name}.rdzv.yaml"} for name in "bca"]
    lines = table(first, list(reversed(first)))
    assert [line.split("](s/")[1][0] for line in lines[2:-2]] == ["a", "b", "c"]


def test_text_of_a_title_is_no_markup() -> None:
    """A title or a path with Markdown's own signs breaks neither the table nor the link."""
    odd = row(status="failed", title="a | b [c] *d* `e` <f> \\ g\nh", path="s s/(x).rdzv.yaml")
    line = table([odd], [odd])[2]
    assert line.startswith(r"| [a \| b \[c\] \*d\* \`e\` \<f\> \\ g\\nh](s%20s/%28x%29.rdzv.yaml) |")
