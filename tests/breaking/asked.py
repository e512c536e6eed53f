"""How the tests that play scenarios in other ways were asked to play them."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.play.options import RunOptions
from harness.pytest_plugin.options import settings_of


def run_options(config: pytest.Config, runs_dir: Path) -> RunOptions:
    """The options of pytest's command line."""
    asked = settings_of(config)
    return RunOptions(subject=asked.subject, python=asked.python, toxiproxy=asked.toxiproxy, runs_dir=runs_dir)
