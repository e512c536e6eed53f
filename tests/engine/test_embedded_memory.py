"""The memory of the engine: what a connection held is given back to the system."""

from __future__ import annotations

import select
import threading
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest
from backends import LIMIT_SECONDS, Backend, Upstream, started

MEGABYTE = 1_000_000


def memory(engine: Backend) -> int:
    return int(psutil.Process(engine.pid).memory_info().rss)


def await_true(claim: Callable[[], bool]) -> None:
    """Wait until it holds."""
    deadline = time.monotonic() + LIMIT_SECONDS
    while not claim():
        assert time.monotonic() < deadline
        select.select([], [], [], 0.02)


@pytest.mark.parametrize("end", ["drained", "closed"])
def test_what_a_latency_held_is_given_back(tmp_path: Path, upstream: Upstream, end: str):
    """As soon as a direction is empty, or its connection over; the system then has the memory again."""
    with started("embedded", tmp_path) as engine:
        proxy = engine.make(upstream)
        toxic = proxy.toxic("latency", "upstream", latency=60_000)
        client, server = proxy.connect(), upstream.accept()
        before = memory(engine)
        sender = threading.Thread(target=client.sendall, args=(bytes(30 * MEGABYTE),))
        sender.start()
        sender.join(LIMIT_SECONDS)
        await_true(lambda: memory(engine) - before > 20 * MEGABYTE)
        if end == "drained":
            proxy.remove(toxic)
            left = 30 * MEGABYTE
            while left:
                left -= len(server.recv(1 << 20))
        else:
            server.close()
            client.close()
            assert engine.ask("DELETE", proxy.path).status == 204
        await_true(lambda: memory(engine) - before < 5 * MEGABYTE)
        client.close()
        server.close()
