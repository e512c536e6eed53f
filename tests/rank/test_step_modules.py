"""Steps of other packages in a rank: their modules run from source text, once, and errors in them can be read."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from harness.rank import step_modules
from harness.rank.steps import STEPS
from harness.values.plan import Plan, StepModule

SOURCE = """
from harness.rank.steps.base import step
from harness.values.attribute import Declaration

@step(Declaration("stumble", "Fails."))
def stumble(context, arguments):
    raise ValueError("a stone")
"""


@pytest.fixture(autouse=True)
def _steps() -> Iterator[None]:
    """What a test registers is forgotten after it."""
    before = dict(STEPS)
    yield
    STEPS.clear()
    STEPS.update(before)
    sys.modules.pop("far.away", None)


def test_a_module_runs_once_though_its_package_and_its_file_are_not_here() -> None:
    """As the plan has it, through JSON; its step is one like others."""
    module = StepModule("far.away", "/nowhere/far/away.py", SOURCE)
    plan = Plan.from_json(Plan("echo", (), 1, (), (), step_modules=(module,)).to_json())
    step_modules.load(plan.step_modules)
    step_modules.load(plan.step_modules)
    assert (STEPS["stumble"].run.__module__, "far" in sys.modules) == ("far.away", False)


def test_a_traceback_shows_its_lines() -> None:
    """Although there is no such file to read them from."""
    step_modules.load([StepModule("far.away", "/nowhere/far/away.py", SOURCE)])
    nothing: Any = SimpleNamespace()
    with pytest.raises(ValueError, match="a stone") as raised:
        STEPS["stumble"].run(nothing, {})
    shown = "".join(traceback.format_exception(raised.type, raised.value, raised.tb))
    assert 'File "/nowhere/far/away.py", line 7, in stumble\n    raise ValueError("a stone")\n' in shown


@pytest.mark.parametrize(
    ("source", "because"),
    [
        ("import no_such_module", "ModuleNotFoundError: No module named 'no_such_module'"),
        ("def f(:", "SyntaxError: "),
        (SOURCE.replace("stumble", "sleep"), "ValueError: two steps are called 'sleep'; rename one"),
    ],
)
def test_a_module_that_does_not_run_says_why_and_what_it_may_import(source: str, because: str) -> None:
    """Its name, the error, the rule; and it is not taken for one that was imported."""
    with pytest.raises(ImportError) as raised:
        step_modules.load([StepModule("far.away", "/nowhere/far/away.py", source)])
    assert f"the steps of far.away cannot be loaded in a rank ({because}" in str(raised.value)
    assert "imports the standard library, torch," in str(raised.value)
    assert "far.away" not in sys.modules
