"""What the project's own tests share: how many worlds play side by side, and a Docker engine where there is one."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from docker import DockerClient

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


@pytest.fixture
def docker_client(request: pytest.FixtureRequest) -> Iterator[DockerClient]:
    """A client of an engine that has our images.

    Without one the test is skipped with the reason; it fails if `--rdzv-require` or RDZV_REQUIRE names `engine`.
    """
    from harness.machine import engine, images
    from harness.pytest_plugin import required
    from harness.words.errors import Unsupported

    try:
        with engine.connect() as client:
            images.require(client)
            yield client
    except Unsupported as missing:
        if missing.need in required(request.config):
            pytest.fail(str(missing), pytrace=False)
        pytest.skip(str(missing))
