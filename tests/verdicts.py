"""What tests that play scenarios in several places share."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Collection, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from harness.campaign.runner import Runner
from harness.loader import load
from harness.play.options import RunOptions
from harness.scenario.scenario import Scenario
from harness.values.verdict import KNOWN, PASSED, SKIPPED

PYTHON = os.environ.get("RDZV_TEST_PYTHON", sys.executable)
"""The interpreter of ranks: its torch is the one that is tested."""

Verdicts = Callable[[Sequence[Scenario]], dict[str, str]]

_SCENARIOS = Path(__file__).parents[1] / "scenarios"
_SUFFIX = ".rdzv.yaml"


def names(*without: str) -> list[str]:
    """Every scenario as `folder/name`, without those of some folders."""
    paths = (path for path in _SCENARIOS.rglob("*" + _SUFFIX) if path.parent.name not in without)
    return sorted(str(path.relative_to(_SCENARIOS)).removesuffix(_SUFFIX) for path in paths)


def cells(name: str) -> Sequence[Scenario]:
    """Its cells."""
    return load(_SCENARIOS / (name + _SUFFIX))


def options(runs_dir: Path, python: str = PYTHON, **more: Any) -> RunOptions:
    """How tests play: what RDZV_REQUIRE names must be there, anything else may be skipped."""
    require = frozenset(filter(None, os.environ.get("RDZV_REQUIRE", "").split(",")))
    return RunOptions(python=python, runs_dir=runs_dir, require=require, **more)


def verdicts_with(**more: Any) -> Any:
    """A fixture of a module: the verdicts of one runner with these options, its interpreter one that has torch."""

    @pytest.fixture(scope="module")
    def verdicts(rank_python: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Verdicts]:
        with Runner(options(tmp_path_factory.mktemp("runs"), rank_python, **more)) as runner:
            yield lambda played: {result.scenario.id: result.status for result in runner.run(played)}

    return verdicts


def require_as_written(*played: dict[str, str]) -> None:
    """Every cell passed or failed as its file says; one that cannot be played here skips the test."""
    found = {status for statuses in played for status in statuses.values()}
    if SKIPPED in found:
        pytest.skip("not every cell can be played here")
    assert found <= {PASSED, KNOWN}


def require_dozen(sample: Collection[str], known: Collection[str]) -> None:
    """A sample is twelve scenarios that exist: a wrong name would silently leave one out."""
    assert set(sample) <= set(known)
    assert len(set(sample)) == 12
