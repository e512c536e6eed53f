"""How long an HTML report takes: to be written, to be painted, and to follow its reader.

    python benchmarks/html_report.py [--rounds 5] [--browser PATH] [--json FILE]

Needs `pip install -e '.[browser]'` and a Chromium. The bars are those of docs/html-report.md; a time depends on the
machine, so each is told beside its bar and none decides the exit code. All runs are made without playing anything.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, Page, sync_playwright

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

import synthetic_runs
from browser import pages
from browser.conftest import NAMES

from harness.reports.html import HtmlReport

CELLS = 270
STEPS = 60
"""Of panning, one for each frame of a second."""

# Measures every callback of an animation frame, and tasks that block the page for more than 50 ms.
OBSERVE = """
window.frames_ms = [];
window.long_tasks_ms = [];
const ask = window.requestAnimationFrame.bind(window);
window.requestAnimationFrame = (draw) => ask((time) => {
  const begun = performance.now();
  draw(time);
  window.frames_ms.push(performance.now() - begun);
});
new PerformanceObserver((list) => window.long_tasks_ms.push(...list.getEntries().map((one) => one.duration)))
  .observe({type: "longtask", buffered: true});
"""
PAINTED = "() => performance.getEntriesByName('first-contentful-paint')[0]?.startTime ?? null"
OPEN_RUN = """() => new Promise((done) => {
  const begun = performance.now();
  location.hash = "#/run/0";
  const look = () => document.querySelector("canvas") ? done(performance.now() - begun) : setTimeout(look);
  look();
})"""
FILTER = """(text) => {
  const input = document.querySelector("#filter");
  const begun = performance.now();
  input.value = text;
  input.dispatchEvent(new Event("input", {bubbles: true}));
  document.body.offsetHeight;
  return performance.now() - begun;
}"""
PAN = """(steps) => new Promise((done) => {
  window.frames_ms.length = window.long_tasks_ms.length = 0;
  let left = steps;
  const step = () => {
    document.dispatchEvent(new KeyboardEvent("keydown", {key: left % 20 < 10 ? "d" : "a", bubbles: true}));
    if (left-- > 0) setTimeout(step, 16); else setTimeout(() => done(window.frames_ms), 100);
  };
  step();
})"""


@dataclass(frozen=True)
class Line:
    """One measure, in milliseconds, beside its bar."""

    name: str
    bar_ms: float
    values: tuple[float, ...]

    @property
    def median(self) -> float:
        return statistics.median(self.values)

    def __str__(self) -> str:
        return f"{self.name:44}{self.median:10.1f} ms{max(self.values):10.1f} ms{self.bar_ms:9.0f} ms"


def generated(folder: Path) -> float:
    """How long it takes to write the page of 270 runs with their wire, in milliseconds; the runs are made before."""
    results = [synthetic_runs.run(3, calls=4, number=number) for number in range(CELLS)]
    begun = time.perf_counter()
    report = HtmlReport.to(folder / "cells.html")
    for result in results:
        report.finished(result)
    report.closed(results, interrupted=False)
    return (time.perf_counter() - begun) * 1000


@contextmanager
def opened(browser: Browser, path: Path) -> Iterator[Page]:
    context = browser.new_context(viewport={"width": 1440, "height": 900}, offline=True)
    context.add_init_script(OBSERVE)
    page = context.new_page()
    page.goto(path.as_uri())
    page.wait_for_selector("#stage > *")
    yield page
    context.close()


def of_page(browser: Browser, path: Path) -> dict[str, float]:
    """What one reader waits for."""
    with opened(browser, path) as page:
        interactive = page.evaluate("() => performance.now()")
        found = {"first paint, 1,000 rows": _painted(page), "interactive, 1,000 rows": interactive}
        found["filter of 1,000 rows"] = max(page.evaluate(FILTER, text) for text in ("c", "claim 7", "is:red -claim"))
        page.evaluate(FILTER, "")
        found["open a run of 10,000 operations"] = page.evaluate(OPEN_RUN)
        page.wait_for_selector(".below > *")
        page.keyboard.press("w")
        frames = sorted(page.evaluate(PAN, STEPS))
        found["script of a frame when panning, 95 %"] = _quantile(frames, 0.95)
        found["longest task when panning"] = max(page.evaluate("() => window.long_tasks_ms"), default=0.0)
    return found


def _painted(page: Page) -> float:
    page.wait_for_function(PAINTED)
    return float(page.evaluate(PAINTED))


def _quantile(ordered: Sequence[float], share: float) -> float:
    return ordered[min(int(len(ordered) * share), len(ordered) - 1)] if ordered else float("nan")


BARS_MS: dict[str, float] = {
    "write 270 cells": 2000,
    "first paint, 1,000 rows": 300,
    "interactive, 1,000 rows": 800,
    "filter of 1,000 rows": 50,
    "open a run of 10,000 operations": 500,
    "script of a frame when panning, 95 %": 8,
    "longest task when panning": 50,
}


def measured(browser: Browser, rounds: int, folder: Path) -> list[Line]:
    path = pages.many(folder / "many.html")
    written = [generated(folder) for _ in range(rounds)]
    found: list[dict[str, float]] = [of_page(browser, path) for _ in range(rounds)]
    by_name = {name: tuple(one[name] for one in found) for name in found[0]}
    return [Line(name, bar, by_name.get(name, tuple(written))) for name, bar in BARS_MS.items()]


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--browser", default=next((path for name in NAMES if (path := shutil.which(name))), None))
    parser.add_argument("--json", type=Path)
    given = parser.parse_args(arguments)
    if given.browser is None:
        parser.error(f"none of {', '.join(NAMES)} is on PATH; give --browser")
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        sandbox: list[Any] = ["--no-sandbox"] if os.geteuid() == 0 else []
        browser = playwright.chromium.launch(executable_path=given.browser, args=sandbox)
        lines = measured(browser, given.rounds, Path(folder))
        browser.close()
    print(f"{'':44}{'median':>13}{'most':>13}{'bar':>12}")
    print("\n".join(map(str, lines)))
    print(f"load of the last minute: {os.getloadavg()[0]:.1f}, on {os.cpu_count()} processors")
    if given.json:
        given.json.write_text(json.dumps([asdict(line) for line in lines], indent=2) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
