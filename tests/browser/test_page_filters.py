"""Each token of a filter, in the overview and in a run: how many things fit, counted without the page."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import synthetic_runs

from browser import pages
from browser.opened import Open, Written
from harness.judge.result import Result
from harness.values.ops import Op

AT = "[...document.querySelectorAll('.operations tbody tr')].map(row => Number(row.dataset.at))"
RED = ("failed", "vacuous", "error")

OF_ROWS: dict[str, Callable[[Result], bool]] = {
    "is:failed": lambda one: one.status == "failed",
    "is:red": lambda one: one.status in RED,
    "-is:red": lambda one: one.status not in RED,
    "is:failed,error": lambda one: one.status in ("failed", "error"),
    "torch:2.15.0": lambda one: True,
    "torch:2.6*": lambda one: False,
    "subject:static": lambda one: True,
    "-subject:static": lambda one: False,
    "folder:folder-3": lambda one: one.scenario.path.parent.name == "folder-3",
    "tag:slow": lambda one: "slow" in one.scenario.tags,
    "-tag:slow is:red": lambda one: "slow" not in one.scenario.tags and one.status in RED,
    "ref:F07": lambda one: "F07" in one.judgement.known_refs,
    "claim": lambda one: "claim" in f"{one.scenario.title} {one.scenario.path} {one.judgement.because}".lower(),
    '"touched nothing"': lambda one: "touched nothing" in one.judgement.because,
    "-hung is:failed": lambda one: "hung" not in one.judgement.because and one.status == "failed",
}


@pytest.mark.parametrize("text", OF_ROWS)
def test_rows(text: str, opened: Open, written: Written) -> None:
    """The count beside the input, after somebody typed it."""
    page = opened(written("several", pages.several))
    page.press("/")
    page.page.keyboard.type(text)
    rows = [row for row in pages.several() if _played(text, row) and OF_ROWS[text](row)]
    page.page.get_by_text(f"{len(rows)} of 7 cells fit").wait_for()


def _played(text: str, row: Result) -> bool:
    """What was never played has no torch."""
    return "torch:" not in text or row.run_dir is not None


OF_OPERATIONS: dict[str, Callable[[Op], bool]] = {
    "rank:1": lambda op: op.process.rank == 1,
    "-rank:1": lambda op: op.process.rank != 1,
    "rank:0,2": lambda op: op.process.rank in (0, 2),
    "step:join": lambda op: op.step == "join",
    "fault:mute": lambda op: op.step == "mute",
    "step:join rank:2": lambda op: op.step == "join" and op.process.rank == 2,
}


@pytest.mark.parametrize("text", OF_OPERATIONS)
def test_operations(text: str, opened: Open, written: Written) -> None:
    """The rows of the table, after somebody typed it; a call's beginning and its end both have its key."""
    page = opened(written("several", pages.several), "#/run/0")
    page.press("/")
    page.page.keyboard.type(text)
    history = synthetic_runs.small().history
    fitting = {op.index for op in history if OF_OPERATIONS[text](op)}
    page.page.wait_for_function(f"want => String({AT}) === want", arg=",".join(map(str, sorted(fitting))))


def test_a_key(opened: Open, written: Written) -> None:
    """Both ends of each call that was given it."""
    page = opened(written("several", pages.several), "#/run/0")
    page.press("/")
    page.page.keyboard.type("key:key-1*")
    calls = [one for one in synthetic_runs.small().history.calls if str(one.arguments.get("key")).startswith("key-1")]
    want = sorted(index for call in calls for index in call.evidence)
    assert want
    page.page.wait_for_function(f"want => String({AT}) === want", arg=",".join(map(str, want)))


def test_outcomes_of_calls(opened: Open, written: Written) -> None:
    """`is:hung` finds both ends of the call that hung."""
    page = opened(written("several", pages.several), "#/run/0")
    (call,) = [call for call in synthetic_runs.small().history.calls if call.outcome == "hung"]
    page.press("/")
    page.page.keyboard.type("is:hung")
    page.page.get_by_text("1 to 2 of 2").wait_for()
    found = page.ask(f"() => {AT}")
    assert tuple(found) == call.evidence
