"""A link to a place in the page shows its receiver what its sender saw."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import synthetic_runs

from browser import pages
from browser.opened import Open, Opened, Written


def file(written: Written) -> Path:
    return written("several", pages.several)


def selected(page: Opened) -> list[Any]:
    """The operations that the table marks."""
    rows = page.page.locator(".operations tr[aria-current=true]")
    return [int(rows.nth(at).get_attribute("data-at") or -1) for at in range(rows.count())]


def test_a_filter_of_the_overview(opened: Open, written: Written) -> None:
    """The rows that fit are counted and listed, and the text stands in the input."""
    page = opened(file(written), "#/?q=is%3Avacuous")
    assert "1 of 7 cells fit" in page.text()
    assert page.page.input_value("#filter") == "is:vacuous"


def test_an_operation_of_a_run(opened: Open, written: Written) -> None:
    """It is selected, in the table too."""
    assert selected(opened(file(written), "#/run/0?op=12")) == [12]


def test_a_filter_of_a_run(opened: Open, written: Written) -> None:
    """The table has the operations that fit."""
    page = opened(file(written), "#/run/0?q=rank%3A1")
    count = sum(op.process.rank == 1 for op in synthetic_runs.small().history)
    assert page.page.locator(".operations tbody tr").count() == count


def test_a_window_and_an_axis(opened: Open, written: Written) -> None:
    """The window of time and linear time are those of the link, and stay in the address."""
    page = opened(file(written), "#/run/0?from=2000&to=9000&axis=linear")
    assert page.page.locator("button", has_text="Time: to scale").count() == 1
    page.press("w")
    page.page.wait_for_function("() => /from=/.test(location.hash) && !/from=2000/.test(location.hash)")
    values = dict(one.split("=") for one in page.fragment.split("?")[1].split("&"))
    assert values["axis"] == "linear"
    assert 2000 < int(values["from"]) < int(values["to"]) < 9000


def test_what_is_selected_is_in_the_address_and_can_be_sent(opened: Open, written: Written) -> None:
    """A colleague who opens the address has the same operation selected."""
    page = opened(file(written), "#/run/0")
    page.press("e")
    page.page.wait_for_function("() => /op=/.test(location.hash)")
    sent, here = page.fragment, selected(page)
    page.go(sent)
    assert selected(page) == here


def test_the_back_button_returns_to_the_overview_as_it_was(opened: Open, written: Written) -> None:
    """With its filter."""
    page = opened(file(written), "#/?q=is%3Ared")
    page.show("#/run/2")
    page.page.go_back()
    page.ready()
    assert "4 of 7 cells fit" in page.text()
    assert page.page.input_value("#filter") == "is:red"


@pytest.mark.parametrize(
    ("fragment", "words"),
    [
        ("#/run/99", "There is no row 99"),
        ("#/run/0?op=99999", "read of rank 1 hung"),
        ("#/run/0?op=m99999", "read of rank 1 hung"),
        ("#/run/0?from=9&to=x&axis=odd", "read of rank 1 hung"),
        ("#/run/5", "There is no picture of this run: nothing was played"),
        ("#/?q=%22&page=99&sort=odd", "4 of 7 cells are red"),
        ("#//odd?%", "4 of 7 cells are red"),
    ],
)
def test_a_link_that_fits_nothing_here(fragment: str, words: str, opened: Open, written: Written) -> None:
    """It opens what there is, says what there is not, and breaks nothing."""
    page = opened(file(written))
    page.page.goto("about:blank")
    page.page.goto(f"{page.own}{fragment}")
    page.page.get_by_text(words).first.wait_for()
