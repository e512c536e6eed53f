"""The page opens from a file, loads nothing, and tells what matters without scripts too."""

from __future__ import annotations

from browser import pages
from browser.opened import Open, Written

SENTENCE = "4 of 7 cells are red: 2 failed, 1 vacuous, 1 error."
COUNTS = ("1 passed", "1 known", "2 failed", "1 vacuous", "1 error", "1 skipped")


def test_it_opens_from_a_file(opened: Open, written: Written) -> None:
    """With scripts and without a server: no request, no error, and the verdict and all counts are on the screen."""
    page = opened(written("several", pages.several))
    text = " ".join(page.text().split())
    assert SENTENCE in text
    assert [count for count in COUNTS if count not in text] == []


def test_every_run_opens(opened: Open, written: Written) -> None:
    """With its picture, or with the reason why there is none; again without a request or an error."""
    page = opened(written("several", pages.several))
    for number in range(7):
        page.show(f"#/run/{number}")
        assert page.page.locator("canvas").count() > 0 or "There is no picture of this run" in page.text()


def test_a_page_of_one_run_opens_at_its_picture(opened: Open, written: Written) -> None:
    """There is nothing to choose."""
    assert opened(written("one", pages.one)).fragment.startswith("#/run/0")


def test_without_scripts_it_tells_verdict_counts_and_reds(opened: Open, written: Written) -> None:
    """Each red with its reason, its proof and the command; some CI services forbid scripts."""
    page = opened(written("several", pages.several), java_script_enabled=False)
    text = " ".join(page.text().split())
    assert SENTENCE in text
    assert [count for count in COUNTS if count not in text] == []
    for words in ("no_hang is broken", "mute touched nothing", "the controller was lost", "claim-2.rdzv.yaml --seed 7"):
        assert words in text
    assert page.page.locator("pre").count() == 4


def test_a_browser_that_cannot_inflate_tells_it_in_words(opened: Open, written: Written) -> None:
    """An older one has no DecompressionStream: what is known of the run without its picture is there."""
    page = opened(written("several", pages.several))
    page.ask("() => { delete window.DecompressionStream }")
    page.show("#/run/0")
    text = page.text()
    assert "could not be drawn" in text
    assert "rdzv-harness run" in text
