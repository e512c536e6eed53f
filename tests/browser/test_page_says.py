"""What a person must find on the first screen of a view, without a word that has to be looked for."""

from __future__ import annotations

import happenings
import pytest
from pasts import Past

from browser import pages
from browser.opened import Make, Open, Written
from harness.judge.result import Result


def calm() -> list[Result]:
    """A run without a fault, in which nobody waits."""
    return [happenings.result(history=Past(2).join(0, 0.1, 0.2).join(1, 0.1, 0.2).whole())]


@pytest.mark.parametrize(
    ("name", "make", "waits", "fault"),
    [
        ("several", pages.several, "rank 1 waits in check", "mute (blackhole) on rank 1: touched its target"),
        ("calm", calm, "none", "no fault in this scenario"),
    ],
    ids=["a muted link", "no fault"],
)
def test_a_run_always_says_what_it_waits_for_and_which_fault_hit_it(
    name: str, make: Make, waits: str, fault: str, opened: Open, written: Written
) -> None:
    """Also that there is none: a line that is missing does not say so."""
    page = opened(written(name, make), "#/run/0")
    said = dict(zip(*(page.page.locator(f".why > {tag}").all_inner_texts() for tag in ("dt", "dd")), strict=True))
    assert waits in said["waits"]
    assert fault in said["fault"]


def test_the_legend_opens_by_keyboard_and_draws_every_mark(opened: Open, written: Written) -> None:
    """Each with its words; no drawing is empty."""
    page = opened(written("several", pages.several), "#/run/0")
    page.page.locator(".legend summary").focus()
    page.press("Enter")
    page.page.get_by_text("time left out").wait_for()
    drawn = "one => [...one.getContext('2d').getImageData(0, 0, one.width, one.height).data].some(Boolean)"
    marks = page.page.locator(".legend canvas")
    assert marks.count() == 17
    assert [at for at in range(marks.count()) if not marks.nth(at).evaluate(drawn)] == []


def test_the_scale_of_time_is_said(opened: Open, written: Written) -> None:
    """The button says what is on, and changes it."""
    page = opened(written("several", pages.several), "#/run/0")
    button = page.page.get_by_role("button", name="Time: ")
    assert button.inner_text() == "Time: not to scale"
    button.click()
    assert button.inner_text() == "Time: to scale"


def test_each_outcome_says_what_it_means(opened: Open, written: Written) -> None:
    """Beside its count, not only for a pointer."""
    page = opened(written("several", pages.several))
    meanings = page.page.locator(".count small").all_inner_texts()
    assert (len(set(meanings)), "" in meanings) == (6, False)
