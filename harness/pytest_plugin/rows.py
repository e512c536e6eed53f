"""The results of a session as plain rows: they travel with pytest's reports, from the workers of xdist too."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from harness.judge.result import Result

ATTRIBUTE = "rdzv_rows"
"""The attribute of a report that has its rows as JSON. It is no user property: those go to pytest's own JUnit file."""
_ROWS: pytest.StashKey[list[Mapping[str, Any]]] = pytest.StashKey()


@dataclass(frozen=True)
class Found:
    """One result, as the main process has it.

    Attributes:
        row: as `harness.reports.parts.rows.row` makes it.
        extras: what the row must carry for each kind of report.
        line: of the file of the row.
        is_failure: whether its test failed; a test in Python may expect a red run.
    """

    row: Mapping[str, Any]
    extras: Mapping[str, Mapping[str, Any]]
    line: int
    is_failure: bool


@dataclass(eq=False)
class Gathered:
    """A plug-in of the main process: all results, in the order in which they ended."""

    found: list[Found] = field(default_factory=list)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        for text in getattr(report, ATTRIBUTE, ()):
            self.found.append(Found(**json.loads(text), is_failure=report.failed))


def attach(item: pytest.Item, result: Result, row: Mapping[str, Any], extras: Mapping[str, Any], line: int) -> None:
    """Let the item's next report carry a result; its status, seed and run directory become user properties."""
    item.stash.setdefault(_ROWS, []).append({"row": row, "extras": extras, "line": line})
    item.user_properties.append(("rdzv_status", result.status))
    item.user_properties.append(("rdzv_seed", result.seed))
    if result.run_dir is not None:
        item.user_properties.append(("rdzv_run_dir", str(result.run_dir)))


def hand_over(item: pytest.Item, report: pytest.TestReport) -> None:
    """Move the results that came since the last report to this one."""
    waiting = item.stash.get(_ROWS, [])
    if waiting:
        vars(report)[ATTRIBUTE] = list(map(json.dumps, waiting))
        waiting.clear()


def gathered(config: pytest.Config) -> Iterator[Found]:
    """All results so far; none in a worker."""
    plugin = config.pluginmanager.get_plugin("rdzv-rows")
    yield from plugin.found if isinstance(plugin, Gathered) else ()
