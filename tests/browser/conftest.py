"""A Chromium without windows and without network, and pages that tell what they tried."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import psutil
import pytest

from browser.opened import Make, Open, Opened, Written, open_page
from harness.judge.result import Result
from harness.pytest_plugin.options import settings_of
from harness.reports.html import HtmlReport

if TYPE_CHECKING:
    from playwright.sync_api import Browser

NAMES = ("chromium-headless-shell", "chromium", "google-chrome")
END_SECONDS = 10


def browser_path() -> str | None:
    """The program to start: RDZV_BROWSER, or the first of these on PATH."""
    return os.environ.get("RDZV_BROWSER") or next((path for name in NAMES if (path := shutil.which(name))), None)


def missing(config: pytest.Config, because: str) -> NoReturn:
    """Skips the test; fails it where RDZV_REQUIRE names `browser`."""
    if "browser" in settings_of(config).require:
        pytest.fail(because)
    pytest.skip(because)


@pytest.fixture(scope="package")
def browser(pytestconfig: pytest.Config) -> Iterator[Browser]:
    """One for all tests of a worker; no process of it is left.

    It lasts only as long as the tests of this folder, because Playwright runs an event loop in this thread.
    """
    path = browser_path()
    if path is None:
        missing(pytestconfig, f"none of {', '.join(NAMES)} is on PATH (RDZV_BROWSER names another)")
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        missing(pytestconfig, "playwright is not installed: pip install -e '.[browser]'")
    before = set(psutil.Process().children(recursive=True))
    with sync_playwright() as playwright:
        # Chromium's own sandbox needs a user who is not root.
        arguments = ["--no-sandbox"] if os.geteuid() == 0 else []
        started = playwright.chromium.launch(executable_path=path, args=arguments)
        ours = set(psutil.Process().children(recursive=True)) - before
        yield started
        started.close()
    _, left = psutil.wait_procs(ours, timeout=END_SECONDS)
    assert left == [], "processes of the browser are left"


@pytest.fixture(scope="package")
def kept(browser: Browser) -> Iterator[dict[str, Opened]]:
    """Pages by their options: to load one anew needs no further process of the browser."""
    pages: dict[str, Opened] = {}
    yield pages
    for page in pages.values():
        page.close()


@pytest.fixture
def opened(browser: Browser, kept: dict[str, Opened]) -> Iterator[Open]:
    """Opens a file; at the end nothing was requested and nothing was wrong.

    With the same options it is the page of an earlier test, loaded anew. `fresh`: a context of its own, for tests that
    change what outlives a page.
    """
    pages: list[Opened] = []
    own: list[Opened] = []

    def open_(path: Path, fragment: str = "", fresh: bool = False, **options: Any) -> Opened:
        key = repr(sorted(options.items()))
        if fresh or "before" in options:
            page = open_page(browser, path, fragment, **options)
            own.append(page)
        elif key in kept:
            page = kept[key]
            page.load(path, fragment)
        else:
            page = kept[key] = open_page(browser, path, fragment, **options)
        pages.append(page)
        return page

    yield open_
    try:
        for page in pages:
            page.check()
    finally:
        for page in pages:
            page.forget()
        for page in own:
            page.close()


@pytest.fixture(scope="session")
def written(tmp_path_factory: pytest.TempPathFactory) -> Written:
    """Writes the page of some results, once for each name."""
    folder, known = tmp_path_factory.mktemp("pages"), dict[str, Path]()

    def write(name: str, make: Make) -> Path:
        if name not in known:
            known[name] = page_of(make(), folder / f"{name}.html")
        return known[name]

    return write


def page_of(results: list[Result], path: Path) -> Path:
    """The page of these results, as a run writes it."""
    report = HtmlReport.to(path)
    for result in results:
        report.finished(result)
    report.closed(results, interrupted=False)
    return path
