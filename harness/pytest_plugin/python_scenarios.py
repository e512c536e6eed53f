"""Scenarios written in Python: the keys of a file as arguments, the judged run as the answer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from harness.archive.layout import SCENARIO
from harness.judge.result import Result
from harness.loader import load_mapping
from harness.pytest_plugin import life, outcomes, playing, rows
from harness.pytest_plugin.options import in_our_words, settings_of
from harness.pytest_plugin.reporting import extras
from harness.reports.parts import red
from harness.reports.parts.facts import RED
from harness.reports.parts.rows import row
from harness.reports.parts.safe import one_line
from harness.scenario.scenario import Scenario
from harness.values.errors import HarnessError, ScenarioError, UsageError
from harness.values.history import History
from harness.values.refusals import describe
from harness.values.verdict import Judgement


@dataclass(frozen=True)
class Run:
    """A judged run.

    Attributes:
        verdict: the judgement: `status`, `because`, `verdicts`.
        history: every operation, and the questions one asks of them.
        run_dir: where it lies; `rdzv-harness show` prints it.
    """

    verdict: Judgement
    history: History
    run_dir: Path | None
    result: Result


def play_keys(item: pytest.Item, keys: Mapping[str, Any], check: bool) -> Run:
    """Play what these keys say, for a test.

    Args:
        check: skip, expect the failure or raise RunFailed as the verdict says; otherwise the run is returned.

    Raises ScenarioError for keys that make no scenario, UsageError for a matrix.
    """
    __tracebackhide__ = True
    try:
        result = _played(item, _scenario(keys, item.name))
    except (ScenarioError, UsageError) as error:
        raise _reworded(error, item.name) from None
    except (HarnessError, OSError) as error:
        raise outcomes.error(in_our_words(describe(error) if isinstance(error, OSError) else str(error))) from None
    finally:
        life.leave_if_over(item.session)
    _attach(item, result)
    if check:
        outcomes.settle(result, settings_of(item.config).fail_on_skip)
    return Run(result.judgement, result.history, result.run_dir, result)


def _reworded(error: ScenarioError | UsageError, name: str) -> HarnessError:
    """The same error without the frames of the harness; its places are in the keys, not in a file."""
    if isinstance(error, ScenarioError):
        return ScenarioError([one.replace(f"{name}.rdzv.yaml:", "the keys as YAML:", 1) for one in error.problems])
    return UsageError(in_our_words(str(error)))


def _scenario(keys: Mapping[str, Any], name: str) -> Scenario:
    cells = load_mapping({"schema": "rdzv-scenario/v1", "title": name, **keys}, name)
    if len(cells) != 1:
        raise UsageError(f"a matrix of {len(cells)} cells in Python; use pytest.mark.parametrize instead")
    return cells[0]


def _played(item: pytest.Item, scenario: Scenario) -> Result:
    """The result; its scenario has the path of the file that the run directory has, so that its lines can be read."""
    life.leave_if_over(item.session)
    result = playing.play(item.config, scenario, item.nodeid)
    if result.run_dir is None:
        return result
    return replace(result, scenario=replace(result.scenario, path=result.run_dir / SCENARIO))


def _attach(item: pytest.Item, result: Result) -> None:
    """Let reports have the run: its row, with the place of the test, and what a reader of the test's report asks."""
    line = (item.location[1] or 0) + 1
    found = row(result)
    verdicts = [{**verdict, "line": line if verdict["line"] else 0} for verdict in found["verdicts"]]
    placed = {**found, "id": item.name, "path": str(item.path), "verdicts": verdicts}
    rows.attach(item, result, placed, extras(settings_of(item.config).reports, result), line)
    item.add_report_section("call", "world", _section(result))


def _section(result: Result) -> str:
    """Everything about a red run; of any other where it lies. The seed in any case."""
    if result.status in RED:
        return f"{red.text(result)}\n  seed       {result.seed}"
    lines = [f"{result.status}  {one_line(result.scenario.title)}", f"  seed       {result.seed}"]
    return "\n".join([*lines, *([f"  run        {one_line(str(result.run_dir))}"] if result.run_dir else [])])
