"""What tests that play scenarios in several places share."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from harness.campaign.runner import Runner
from harness.loader import load
from harness.play.options import RunOptions
from harness.scenario.scenario import Scenario

PYTHON = os.environ.get("RDZV_TEST_PYTHON", sys.executable)
"""The interpreter of ranks: its torch is the one that is tested."""

Verdicts = Callable[[Sequence[Scenario]], dict[str, str]]

_SCENARIOS = Path(__file__).parents[1] / "scenarios"
_SUFFIX = ".rdzv.yaml"


def names(*without: str) -> list[str]:
    """Every scenario as `folder/name`, but those of some folders."""
    paths = (path for path in _SCENARIOS.rglob("*" + _SUFFIX) if path.parent.name not in without)
    return sorted(str(path.relative_to(_SCENARIOS)).removesuffix(_SUFFIX) for path in paths)


def cells(name: str) -> Sequence[Scenario]:
    """Its cells."""
    return load(_SCENARIOS / (name + _SUFFIX))


def options(runs_dir: Path, python: str = PYTHON, **more: Any) -> RunOptions:
    """How tests play: what RDZV_REQUIRE names must be there, anything else may be skipped."""
    require = frozenset(filter(None, os.environ.get("RDZV_REQUIRE", "").split(",")))
    return RunOptions(python=python, runs_dir=runs_dir, require=require, **more)


def verdicts(rank_python: str, runs_dir: Path, **more: Any) -> Iterator[Verdicts]:
    """One runner, kept for a module; its interpreter comes from the fixture that makes sure of torch."""
    with Runner(options(runs_dir, rank_python, **more)) as runner:
        yield lambda played: {result.scenario.id: result.status for result in runner.run(played)}
