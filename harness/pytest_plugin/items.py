"""Scenario files as pytest items: one for each cell of the matrix."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from harness.pytest_plugin import arguments, life, outcomes, playing, slots
from harness.pytest_plugin.options import in_our_words, settings_of

if TYPE_CHECKING:
    from harness.judge.result import Result
    from harness.scenario.scenario import Scenario

SUFFIX = ".rdzv.yaml"
MARK = "rdzv"
"""The marker of every scenario item, beside its tags: `pytest -m rdzv`."""


def not_regular(folder: Path) -> list[Path]:
    """Pipes, devices and links to nowhere that have the name of a scenario, sorted."""
    try:
        with os.scandir(folder) as entries:
            named = [entry for entry in entries if entry.name.endswith(SUFFIX)]
            return sorted(Path(entry.path) for entry in named if not entry.is_file() and not entry.is_dir())
    except OSError:
        return []


class ScenarioFile(pytest.File):
    """One file: an item for each cell of its matrix. One that was given by a built-in name has that as its id."""

    def collect(self) -> Iterator[pytest.Item]:
        from harness.loader import load
        from harness.values.errors import ScenarioError
        from harness.values.printable import printable

        if life.is_over(self.config):
            return
        try:
            cells = load(arguments.name_of(self.config, self.path) or self.path)
        except ScenarioError as error:
            raise self.CollectError(str(error)) from None
        for scenario in cells:
            for tag in scenario.tags:
                self.config.addinivalue_line("markers", f"{tag}: a tag of rdzv scenarios")
            yield ScenarioItem.from_parent(self, name=printable(scenario.id), scenario=scenario)


class ScenarioItem(pytest.Item):
    """One cell. Its set-up starts what plays it, and its call is the play."""

    def __init__(self, *, scenario: Scenario, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.scenario = scenario
        for mark in (MARK, *scenario.tags):
            self.add_marker(getattr(pytest.mark, mark))

    def setup(self) -> None:
        life.leave_if_over(self.session)
        self._try(playing.prepare)

    def runtest(self) -> None:
        result: Result = self._try(playing.play)
        self._attach(result)
        outcomes.settle(result, settings_of(self.config).fail_on_skip)

    def teardown(self) -> None:
        slots.release(self.config)

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> Any:
        if isinstance(excinfo.value, outcomes.RunFailed):
            return outcomes.shown(excinfo.value)
        return super().repr_failure(excinfo)

    def reportinfo(self) -> tuple[Path, int | None, str]:
        return self.path, outcomes.title_line(self.scenario) - 1, self.name

    def _try(self, act: Any) -> Any:
        """What an act returns; what the harness cannot do ends the item with its message, without a traceback."""
        from harness.values.errors import HarnessError
        from harness.values.printable import printable_lines
        from harness.values.refusals import describe

        try:
            return act(self.config, self.scenario)
        except (HarnessError, OSError) as error:
            text = describe(error) if isinstance(error, OSError) else str(error)
            raise outcomes.error(in_our_words(printable_lines(text))) from None
        finally:
            life.leave_if_over(self.session)

    def _attach(self, result: Result) -> None:
        from harness.pytest_plugin import rows
        from harness.pytest_plugin.reporting import extras
        from harness.reports.parts.rows import row

        more = extras(settings_of(self.config).reports, result)
        rows.attach(self, result, row(result), more, outcomes.line_of(result))
