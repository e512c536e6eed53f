"""What the project's own tests and scenarios share: how many worlds play side by side."""

from __future__ import annotations

import os

import pytest

collect_ignore = ["harness/builtin_scenarios", "harness/builtin_examples"]
"""Links to scenarios/ and examples/."""
WORLDS_PER_PROCESSOR = 3
"""Scenarios mostly wait, so `-n auto` plays more worlds than there are processors."""


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    return WORLDS_PER_PROCESSOR * (os.cpu_count() or 1)


@pytest.hookimpl(tryfirst=True)
def pytest_cmdline_main(config: pytest.Config) -> None:
    """Items take from 50 ms to 10 s, so workers that are done take work from the others."""
    if getattr(config.option, "numprocesses", None) and config.option.dist == "no":
        config.option.dist = "worksteal"
