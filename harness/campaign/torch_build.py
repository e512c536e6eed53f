"""Which build of torch the ranks have: that of a controller which imported it, not that of the package's metadata."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Protocol

from harness.scenario.scenario import Scenario


class Preparing(Protocol):
    """What is needed of a runner."""

    @property
    def facts(self) -> Any: ...

    def prepare(self, scenario: Scenario) -> None: ...


def build_of(runner: Preparing, cells: Iterable[Scenario]) -> str:
    """The torch of the ranks with its build, such as `2.9.1+cu128`; empty if the machine can play none of the cells.

    Raises HarnessError if no controller can be started.
    """
    for cell in sorted(cells, key=lambda cell: cell.world.kind != "processes"):
        runner.prepare(cell)
        torch = runner.facts.versions.get("torch")
        if torch:
            return str(torch)
    return ""
