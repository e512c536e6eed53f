"""A server of our own, a server started by another user, and a master that links lead to."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from link_helpers import LIMIT_SECONDS

from harness.machine.process.children import Children
from harness.machine.toxiproxy import server as proxy_server
from harness.machine.toxiproxy.server import RunningServer
from harness.proxies.toxiproxy import Toxiproxy


@pytest.fixture
def children() -> Iterator[Children]:
    """Starts and ends child processes; none is left at the end."""
    with Children() as made:
        yield made


@pytest.fixture
def own(real_server: Path, children: Children, tmp_path: Path) -> Iterator[Toxiproxy]:
    """A server of our own."""
    server = Toxiproxy.start(children, tmp_path / "proxy.log")
    yield server
    server.close()


@pytest.fixture
def running(real_server: Path, children: Children, tmp_path: Path) -> RunningServer:
    """A server that another user started."""
    return proxy_server.launch(children, real_server, tmp_path / "somebody.log")


@pytest.fixture
def master() -> Iterator[socket.socket]:
    """A listening socket that links lead to."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(LIMIT_SECONDS)
        yield listener
