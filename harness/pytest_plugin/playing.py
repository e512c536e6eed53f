"""One runner for each process of a session: it starts with the first scenario and ends with the session."""

from __future__ import annotations

import random
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from harness.pytest_plugin import life, slots
from harness.pytest_plugin.options import command_line, settings_of

if TYPE_CHECKING:
    from harness.campaign.runner import Runner
    from harness.judge.result import Result
    from harness.play.options import RunOptions
    from harness.scenario.scenario import Scenario

SEED = "rdzv_seed"
_RUNNER: pytest.StashKey[Any] = pytest.StashKey()
_SEED: pytest.StashKey[int] = pytest.StashKey()
_NODE: pytest.StashKey[str] = pytest.StashKey()


def options_of(config: pytest.Config) -> RunOptions:
    """How this session plays its scenarios. One world at a time: it is xdist that plays several side by side."""
    from harness.play.options import RunOptions

    settings = settings_of(config)
    return RunOptions(
        subject=settings.subject,
        python=settings.python,
        toxiproxy=settings.toxiproxy,
        isolation=settings.isolation,
        world=settings.world,
        require=settings.require,
        jobs=1,
        seed=seed_of(config),
        runs_dir=settings.runs_dir,
        keep=settings.keep,
    )


def seed_of(config: pytest.Config) -> int:
    """The seed of the session, the same in all workers: the one that was asked for, or one that was drawn."""
    if _SEED not in config.stash:
        given = getattr(config, "workerinput", {}).get(SEED, settings_of(config).seed)
        config.stash[_SEED] = random.SystemRandom().randrange(2**31) if given is None else given
    return config.stash[_SEED]


def runner_of(config: pytest.Config) -> Runner:
    """The one runner of this process, started when the first scenario needs it."""
    from harness.campaign.pool import start_process
    from harness.campaign.runner import Runner
    from harness.cli.selecting import with_torch

    runner: Runner | None = config.stash.get(_RUNNER, None)
    if runner is None:
        start = partial(start_process, life_fd=life.life_fd(config))
        options = options_of(config)
        options = replace(options, python=with_torch(options.python))
        runner = Runner(options, partial(_command, config), start)
        runner.__enter__()
        config.stash[_RUNNER] = runner
    return runner


def prepare(config: pytest.Config, scenario: Scenario) -> None:
    """Wait for a slot, and for a process that can play the scenario, so that a play takes no longer than itself.

    Raises HarnessError or OSError if none can be started.
    """
    slots.acquire(config)
    runner_of(config).prepare(scenario)


def play(config: pytest.Config, scenario: Scenario, node: str = "") -> Result:
    """Play and judge a cell; raises HarnessError or OSError.

    Args:
        node: the test in Python that plays it; empty for a scenario file.
    """
    slots.acquire(config)
    config.stash[_NODE] = node
    try:
        return runner_of(config).play(scenario)
    finally:
        slots.release(config)


def end(config: pytest.Config) -> None:
    """End the runner, and all worlds with it."""
    runner = config.stash.get(_RUNNER, None)
    if runner is not None:
        del config.stash[_RUNNER]
        runner.__exit__(None, None, None)


def _command(config: pytest.Config, options: RunOptions, scenario: Scenario, seed: int) -> str:
    """The words that play a cell again: of a test in Python those of pytest, since it has no file."""
    node = config.stash.get(_NODE, "")
    if node:
        return command_line(settings_of(config), node, seed)
    from harness.cli import again

    return again.command_line(options, scenario, seed)
