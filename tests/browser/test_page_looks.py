"""The page in light and dark, on paper and on a telephone, and for those who do not see it."""

from __future__ import annotations

from pathlib import Path

import pytest

from browser import pages
from browser.opened import Open, Opened, Written

VIEWS = {
    "overview": "#/",
    "filtered overview": "#/?q=is%3Ared",
    "empty overview": "#/?q=nothing-fits-this",
    "run": "#/run/0",
    "run without a picture": "#/run/5",
    "no such run": "#/run/99",
}
THEMES = ("light", "dark")
TELEPHONE = {"width": 390, "height": 844}
NODES = 3000


def open_view(opened: Open, written: Written, view: str, theme: str = "light", **options: object) -> Opened:
    return opened(written("several", pages.several), VIEWS[view], color_scheme=theme, **options)


def violations(page: Opened) -> list[str]:
    """What axe says, a line for each rule that is broken."""
    from axe_playwright_python.sync_playwright import Axe

    found = Axe().run(page.page).response["violations"]
    return [f"{one['id']}: {one['help']}: {[node['target'] for node in one['nodes']][:5]}" for one in found]


@pytest.mark.parametrize("theme", THEMES)
@pytest.mark.parametrize("view", VIEWS)
def test_axe_finds_nothing(view: str, theme: str, opened: Open, written: Written) -> None:
    """No rule of axe is broken, contrast among them."""
    assert violations(open_view(opened, written, view, theme)) == []


@pytest.mark.parametrize("theme", THEMES)
def test_axe_finds_nothing_in_the_help(theme: str, opened: Open, written: Written) -> None:
    """Likewise, with the dialog open."""
    page = open_view(opened, written, "run", theme)
    page.press("?")
    assert violations(page) == []


@pytest.mark.parametrize("theme", THEMES)
def test_axe_finds_nothing_where_the_scripts_fail(theme: str, opened: Open, written: Written) -> None:
    """The part for readers without scripts is shown then, and says that there is more."""
    path = written("several", pages.several)
    page = opened(path, color_scheme=theme, before="window.parse = JSON.parse; JSON.parse = null")
    page.page.get_by_text("could not be started").wait_for()
    page.ask("() => { JSON.parse = window.parse }")
    assert violations(page) == []
    assert len(page.errors) == 1
    page.errors.clear()


@pytest.mark.parametrize("view", VIEWS)
def test_a_telephone_scrolls_down_only(view: str, opened: Open, written: Written) -> None:
    """At 390 pixels nothing of a view is wider than the screen."""
    page = open_view(opened, written, view, viewport=TELEPHONE)
    assert page.ask("() => document.documentElement.scrollWidth") <= TELEPHONE["width"]


def test_a_telephone_scrolls_down_only_without_scripts(opened: Open, written: Written) -> None:
    """Likewise."""
    page = opened(written("several", pages.several), viewport=TELEPHONE, java_script_enabled=False)
    width = page.page.locator("html").evaluate("node => node.scrollWidth")
    assert width <= TELEPHONE["width"]


def colours(page: Opened) -> str:
    script = "() => { const style = getComputedStyle(document.body); return style.color + style.backgroundColor }"
    return str(page.ask(script))


def test_dark_and_light_follow_the_system_and_the_button(opened: Open, written: Written) -> None:
    """The button goes from the system's colours to light, to dark, and back."""
    page = open_view(opened, written, "overview", "dark", fresh=True)
    dark = colours(page)
    assert colours(open_view(opened, written, "overview", "light")) != dark
    button = page.page.locator("button", has_text="Colours")
    button.click()
    light = colours(page)
    button.click()
    assert (light != dark, colours(page)) == (True, dark)


@pytest.mark.parametrize("view", ["overview", "run"])
def test_paper_has_what_a_person_needs(view: str, opened: Open, written: Written) -> None:
    """Printed: the reason and the command are there, what only works on a screen is not; dark ink on white."""
    page = open_view(opened, written, view, fresh=True)
    page.page.emulate_media(media="print")
    page.ask("() => dispatchEvent(new Event('beforeprint'))")
    assert "read of rank 1 hung" in page.text()
    assert page.page.locator(".tools:visible, .bar:visible").count() == 0
    assert page.ask("() => document.documentElement.scrollWidth <= innerWidth")


@pytest.fixture(scope="module")
def largest(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return pages.many(tmp_path_factory.mktemp("largest") / "page.html")


@pytest.mark.parametrize("fragment", ["#/", "#/?q=is%3Ared", "#/run/0", "#/run/0?q=rank%3A1"])
def test_the_largest_page_has_few_nodes(fragment: str, largest: Path, opened: Open) -> None:
    """1,000 rows, and a run of 10,000 operations and 30,000 messages."""
    page = opened(largest, fragment)
    assert page.ask("() => document.querySelectorAll('*').length") <= NODES
