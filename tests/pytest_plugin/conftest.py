"""Fixtures for the tests of the plug-in: controllers without processes."""

from __future__ import annotations

from pathlib import Path

import pytest
from fake_controllers import FakeController, FakeControllers

from harness.campaign import pool
from harness.play.options import RunOptions


@pytest.fixture
def controllers(monkeypatch: pytest.MonkeyPatch) -> FakeControllers:
    """What sessions in this process start in place of processes; every rank joins at once."""
    fakes = FakeControllers()

    def start(
        options: RunOptions, log_dir: Path, world: str, isolation: str, life_fd: int | None = None
    ) -> FakeController:
        assert life_fd is None, "this process is no worker of xdist"
        return fakes(options, log_dir, world, isolation)

    monkeypatch.setattr(pool, "start_process", start)
    return fakes
