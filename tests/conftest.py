"""Fixtures for several rooms: Docker with the harness's images, a real proxy server, a Python with torch."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from verdicts import PYTHON

from harness.machine.docker import engine, images
from harness.machine.docker.engine import DockerEngine
from harness.machine.process.interpreter import examine
from harness.machine.toxiproxy import server as proxy_server
from harness.values.errors import Unsupported


@pytest.fixture(scope="session")
def docker_engine() -> DockerEngine:
    """Docker with the images; without them the test is skipped, and fails where RDZV_REQUIRE names `engine`."""
    try:
        with engine.connect() as client:
            images.require(client)
        return engine.find()
    except Unsupported as missing:
        if "engine" in os.environ.get("RDZV_REQUIRE", "").split(","):
            pytest.fail(str(missing))
        pytest.skip(str(missing))


@pytest.fixture(scope="session")
def rank_python() -> str:
    """The interpreter of ranks that need torch; without torch the test is skipped."""
    found = examine(Path(PYTHON))
    if found.problem:
        pytest.skip(f"{found.problem} (tests take it from RDZV_TEST_PYTHON)")
    return PYTHON


@pytest.fixture(scope="session")
def real_server() -> Path:
    """A real toxiproxy-server; without one the test is skipped."""
    try:
        return proxy_server.require_server()
    except Unsupported as missing:
        pytest.skip(str(missing))
