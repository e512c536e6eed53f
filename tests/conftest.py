"""What tests of several rooms need: a Docker engine with the project's images, and a real proxy server."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from harness.machine import engine, images, proxy_server
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


@pytest.fixture(scope="session")
def real_server() -> Path:
    """A real toxiproxy-server; without one the test is skipped."""
    try:
        return proxy_server.require_server()
    except Unsupported as missing:
        pytest.skip(str(missing))
