"""An engine in its own process, and a proxy in it that leads to a test server."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from backends import Backend, Proxy, Upstream, started
from store_traffic import Talk


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


@pytest.fixture
def talks(proxy: Proxy, upstream: Upstream) -> Iterator[Callable[[], Talk]]:
    """Opens connections of a store's clients; all are closed at the end."""
    made: list[Talk] = []

    def talk() -> Talk:
        made.append(Talk(proxy.connect(), upstream.accept()))
        return made[-1].greet()

    yield talk
    for one in made:
        one.client.close()
        one.server.close()


@pytest.fixture
def talk(talks: Callable[[], Talk]) -> Talk:
    """One such connection; its greeting are the first three messages."""
    return talks()
