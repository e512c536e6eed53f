"""The users that tests of this room run as, and what the kernel allows them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import users

from harness.machine.docker import engine
from harness.machine.docker.engine import DockerEngine
from harness.machine.process.namespaces import probe_elsewhere

if TYPE_CHECKING:
    from docker import DockerClient


@pytest.fixture(params=["root", "ordinary"])
def user(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[users.User]:
    """Root, then an ordinary user; one that is not available is skipped."""
    is_root = os.getuid() == 0
    if request.param == "root" and not is_root:
        pytest.skip("needs root")
    if request.param == "root" or not is_root:
        with users.this_user(tmp_path) as someone:
            yield someone
        return
    try:
        with users.ordinary_user() as someone:
            yield someone
    except LookupError as reason:
        pytest.skip(str(reason))


@pytest.fixture
def me(tmp_path: Path) -> Iterator[users.User]:
    """The user who runs the tests."""
    with users.this_user(tmp_path) as someone:
        yield someone


@pytest.fixture
def namespaces_allowed(user: users.User) -> None:
    """Skip where the kernel gives this user no namespaces."""
    found = probe_elsewhere(as_user=user.become is not None)
    if not found.possible:
        pytest.skip(f"no namespaces for {user.name}: {found.reason}")


@pytest.fixture
def namespaces_of_mine() -> None:
    """Skip where the kernel gives the user who runs the tests no namespaces."""
    found = probe_elsewhere()
    if not found.possible:
        pytest.skip(f"no namespaces: {found.reason}")


@pytest.fixture
def docker_client(docker_engine: DockerEngine) -> Iterator[DockerClient]:
    """A client of Docker, which has the harness's images."""
    with engine.connect() as client:
        yield client
