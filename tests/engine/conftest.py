"""An engine in a process of its own, and a proxy of its with somewhere to lead."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from backends import Backend, Proxy, Upstream, started


@pytest.fixture(scope="module")
def one_engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Backend]:
    """One for all tests of a file."""
    with started("embedded", tmp_path_factory.mktemp("engine"), "--seed", "tests") as backend:
        yield backend


@pytest.fixture
def engine(one_engine: Backend) -> Iterator[Backend]:
    """An engine without proxies."""
    yield one_engine
    one_engine.clean()


@pytest.fixture
def upstream() -> Iterator[Upstream]:
    """Where proxies lead."""
    listening = Upstream()
    yield listening
    listening.close()


@pytest.fixture
def proxy(engine: Backend, upstream: Upstream) -> Proxy:
    """A proxy that leads there."""
    return engine.make(upstream)
