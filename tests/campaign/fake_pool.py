"""A pool with fake controllers and a clock that a test moves."""

from __future__ import annotations

import select
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from fake_controllers import FakeControllers
from pasts import scenario

from harness.campaign.pool import Ended, Pool
from harness.play.options import Order, RunOptions
from harness.scenario.scenario import Scenario

CELL = scenario()
IN_CONTAINERS = replace(CELL, world=replace(CELL.world, kind="containers"))


class Machine:
    """A pool with fake controllers on a clock that stands until it is moved.

    Args:
        options: those of the run, but the folder.
    """

    def __init__(self, folder: Path, ready: bool = True, **options: Any) -> None:
        self.options = RunOptions(runs_dir=folder, **options)
        self.controllers = FakeControllers(plays=None, ready=ready)
        self.now_ns = 0
        self.waits_s: list[float] = []
        self.pool = Pool(self.options, self.controllers, lambda: self.now_ns, self._readable)

    def _readable(self, connections: Sequence[Any], timeout_s: float) -> list[Any]:
        self.waits_s.append(timeout_s)
        return select.select(connections, [], [], 0)[0]

    def ended(self) -> list[Ended]:
        return list(self.pool.ended())

    def play(self, cell: Scenario = CELL) -> Order:
        """Let an idle controller play."""
        member = self.pool.free(cell, [])
        assert member is not None
        order = Order(cell, Path(f"run-{self.pool.running}"), self.options)
        self.pool.play(member, order)
        return order


MakeMachine = Callable[..., Machine]
