"""How the tests that play scenarios in other ways were asked to play them."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.play.options import RunOptions


def run_options(config: pytest.Config, runs_dir: Path) -> RunOptions:
    """The options of pytest's command line."""
    return RunOptions(
        subject=config.getoption("--rdzv-subject"),
        python=config.getoption("--rdzv-python"),
        toxiproxy=config.getoption("--rdzv-toxiproxy"),
        runs_dir=runs_dir,
    )
