"""An engine in its own process, and a proxy in it that leads to a test server."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from backends import Backend, Proxy, Upstream, started


@pytest.fixture(scope="module")
def one_engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Backend]:
    """One engine for all tests of a file."""
    with started("embedded", tmp_path_factory.mktemp("engine"), "--seed", "tests") as backend:
        yield backend


@pytest.fixture
def engine(one_engine: Backend) -> Iterator[Backend]:
    """An engine without proxies."""
    yield one_engine
    one_engine.clean()


@pytest.fixture
def upstream() -> Iterator[Upstream]:
    """The server that proxies lead to."""
    listening = Upstream()
    yield listening
    listening.close()


@pytest.fixture
def proxy(engine: Backend, upstream: Upstream) -> Proxy:
    """A proxy that leads to `upstream`."""
    return engine.make(upstream)
