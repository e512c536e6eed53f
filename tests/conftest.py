"""What tests of several rooms need: a Docker engine with the project's images."""

from __future__ import annotations

import os

import pytest

from harness.machine import engine, images
from harness.machine.engine import Engine
from harness.words.errors import Unsupported


@pytest.fixture(scope="session")
def docker_engine() -> Engine:
    """An engine and its images; without them the test is skipped, and fails where RDZV_REQUIRE names `engine`."""
    try:
        with engine.connect() as client:
            images.require(client)
        return engine.find()
    except Unsupported as missing:
        if "engine" in os.environ.get("RDZV_REQUIRE", "").split(","):
            pytest.fail(str(missing))
        pytest.skip(str(missing))
