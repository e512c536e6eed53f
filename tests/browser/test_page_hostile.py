"""No text of others becomes an element, an attribute or a dialog of the page, in any view, with and without scripts."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hostile_runs import FIELDS
from hostile_texts import TEXTS, shown

from browser import pages
from browser.conftest import page_of
from browser.opened import Open, Opened, Written, open_page

MARKUP = "zqz'\"><img src=x onerror=alert(1)></script><script>alert(2)</script></pre></textarea><b class=owned>{{7*7}}"
"""The shortest limit of a text in the page leaves its first element whole."""
INVISIBLE = TEXTS["direction"] + TEXTS["controls"] + TEXTS["eight bits"] + TEXTS["breaks"] + TEXTS["outside"]

_MADE = """() => ({
  elements: document.querySelectorAll("img, .owned, iframe, object, embed, base, form:not([method=dialog])").length,
  scripts: document.querySelectorAll("script").length,
  handlers: [...document.querySelectorAll("*")].flatMap(node => [...node.attributes])
    .filter(one => one.name.startsWith("on") || /^\\s*javascript:/i.test(one.value)).map(one => one.name),
})"""


@pytest.fixture(scope="module")
def hostile(browser: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Opened]:
    """One page with two runs for each field, open in a browser."""
    folder = tmp_path_factory.mktemp("hostile")
    results = [
        make(text, folder / f"{number}-{text is MARKUP}")
        for number, make in enumerate(FIELDS.values())
        for text in (MARKUP, INVISIBLE)
    ]
    page = open_page(browser, page_of(results, folder / "page.html"))
    yield page
    page.close()


@pytest.mark.parametrize("field", FIELDS)
def test_a_run_shows_it_as_text(field: str, hostile: Opened) -> None:
    """Neither markup nor invisible characters do anything in the view of the run."""
    at = 2 * list(FIELDS).index(field)
    for number in (at, at + 1):
        hostile.show(f"#/run/{number}?from=0")
        assert_is_text(hostile)
        for line in hostile.ask("() => document.body.textContent").split("\n"):
            assert line.replace("\t", "").replace("\xa0", "").isprintable(), ascii(line)


def assert_is_text(page: Opened) -> None:
    made = page.ask(_MADE)
    assert (made["elements"], made["handlers"]) == (0, [])
    page.check()


def test_the_overview_shows_all_of_them_as_text(hostile: Opened) -> None:
    """Every field of every row, with any filter that is made of such a text."""
    hostile.show("#/?q=zqz")
    assert_is_text(hostile)
    shown(hostile.ask("() => document.querySelector('.overview').innerText").replace("\t", " "))
    hostile.press("/")
    hostile.page.keyboard.insert_text(MARKUP)
    assert_is_text(hostile)
    hostile.press("Escape", "Escape", "Escape")


def test_the_markup_is_there_to_be_read(hostile: Opened) -> None:
    """Escaped, and not left out."""
    hostile.show("#/?q=onerror")
    assert "<img src=x onerror=alert(1)>" in hostile.text()


def test_as_many_scripts_as_a_page_of_harmless_texts_has(hostile: Opened, opened: Open, written: Written) -> None:
    """Beside one for each run: no text ended the element in which it stands."""
    of_page = "() => document.querySelectorAll('script:not([id^=run-])').length"
    assert hostile.ask("() => document.querySelectorAll('script[id^=run-]').length") > len(FIELDS)
    assert hostile.ask(of_page) == opened(written("one", pages.one)).ask(of_page)


def test_without_scripts_it_is_text_too(browser: Any, tmp_path: Path) -> None:
    """In the part that Python writes."""
    results = [make(text, tmp_path / "run") for make in FIELDS.values() for text in (MARKUP, INVISIBLE)]
    page = open_page(browser, page_of(results, tmp_path / "page.html"), java_script_enabled=False)
    assert page.page.locator("#plain img, #plain script, #plain .owned, [onmouseover], [onerror]").count() == 0
    assert "<img src=x onerror=alert(1)>" in page.text()
    shown(page.page.inner_text("#plain").replace("\t", " "))
    page.check()
    page.close()
