"""Both servers, one after the other, and a proxy of theirs with a peer at each end."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from backends import Backend, Proxy, Upstream, started

from harness.values.errors import Unsupported

SERVERS = [pytest.param("real", marks=pytest.mark.needs_toxiproxy), "embedded"]


@pytest.fixture(scope="session", params=SERVERS)
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Backend]:
    """Each of the two servers, started once for all its tests; in CI the real one is required."""
    with _started(request.param, tmp_path_factory.mktemp("server")) as backend:
        yield backend


@pytest.fixture(params=SERVERS)
def own_server(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Backend]:
    """Each of the two servers for one test, which may leave what cannot be deleted."""
    with _started(request.param, tmp_path) as backend:
        yield backend


@contextmanager
def _started(kind: str, folder: Path) -> Iterator[Backend]:
    try:
        with started(kind, folder) as backend:
            yield backend
    except Unsupported as missing:
        if os.environ.get("CI"):
            raise
        pytest.skip(str(missing))


@pytest.fixture
def backend(server: Backend) -> Iterator[Backend]:
    """A server without proxies."""
    yield server
    server.clean()


@pytest.fixture
def upstream() -> Iterator[Upstream]:
    """The server that proxies lead to."""
    listening = Upstream()
    yield listening
    listening.close()


@pytest.fixture
def proxy(backend: Backend, upstream: Upstream) -> Proxy:
    """A proxy that leads to `upstream`."""
    return backend.make(upstream)


@dataclass
class Pair:
    """A connection through the proxy; the test holds both ends."""

    client: socket.socket
    server: socket.socket


class Pairs:
    """Makes connections, and closes them all at the end."""

    def __init__(self, proxy: Proxy, upstream: Upstream) -> None:
        self._proxy, self._upstream = proxy, upstream
        self._open: list[socket.socket] = []

    def __call__(self) -> Pair:
        client = self._proxy.connect()
        self._open.append(client)
        server = self._upstream.accept()
        self._open.append(server)
        return Pair(client, server)

    def close(self) -> None:
        for sock in self._open:
            sock.close()


@pytest.fixture
def pairs(proxy: Proxy, upstream: Upstream) -> Iterator[Pairs]:
    """Makes as many connections as the test asks for."""
    made = Pairs(proxy, upstream)
    yield made
    made.close()


@pytest.fixture
def pair(pairs: Pairs) -> Pair:
    """A connection that was opened before anything else happens."""
    return pairs()
