"""Runner.prepare: what a play would wait for is there before it, and nothing else is started."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import pytest
from fake_controllers import FakeController, FakeControllers
from pasts import scenario

from harness.campaign.runner import Runner
from harness.play.options import RunOptions
from harness.scenario.scenario import StepClaim
from harness.values.errors import HarnessError
from harness.values.verdict import PASSED

CELL = scenario(expect=(StepClaim("joins", ("join",), outcomes=("ok",), line=9),))
IN_CONTAINERS = replace(CELL, world=replace(CELL.world, kind="containers"))
Start = Callable[..., FakeController]


@pytest.fixture
def runner_with(tmp_path: Path) -> Iterator[Callable[[Start], Runner]]:
    """A runner that starts its controllers like this."""
    options = RunOptions(subject="echo", runs_dir=tmp_path / "runs", jobs=1, seed=7)
    with ExitStack() as runners:
        yield lambda start: runners.enter_context(Runner(options, start=start))


def test_a_prepared_cell_is_played_by_the_controller_that_was_started_for_it(
    runner_with: Callable[[Start], Runner],
) -> None:
    """The preparation orders nothing, and the play starts nothing."""
    controllers = FakeControllers()
    runner = runner_with(controllers)
    runner.prepare(CELL)
    (controller,) = controllers.started
    assert controller.orders == []
    assert runner.play(CELL).status == PASSED
    assert controllers.started == [controller]
    assert len(controller.orders) == 1


def test_a_cell_that_is_skipped_needs_no_controller(runner_with: Callable[[Start], Runner]) -> None:
    """Only what tells the versions is started, not the containers that the cell would play in."""
    controllers = FakeControllers()
    runner_with(controllers).prepare(replace(IN_CONTAINERS, needs={"torch": ">=99"}))
    assert "containers" not in [world for world, _ in controllers.began_with]


def test_a_preparation_that_cannot_start_a_controller_says_why(runner_with: Callable[[Start], Runner]) -> None:
    """Whether it cannot be started, or ends before it is ready."""

    def refuse(*_: object) -> FakeController:
        raise HarnessError("no process can be started")

    with pytest.raises(HarnessError, match="no process can be started"):
        runner_with(refuse).prepare(CELL)

    controllers = FakeControllers(ready=False)

    def die(options: RunOptions, log_dir: Path, world: str, isolation: str) -> FakeController:
        controller = controllers(options, log_dir, world, isolation)
        controller.dies()
        return controller

    with pytest.raises(HarnessError, match=r"controller \d is gone"):
        runner_with(die).prepare(CELL)
