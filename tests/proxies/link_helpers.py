"""Helpers for tests of links: where links lead, and what comes back through them."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable

from harness.proxies.base import Link, LinkSpec
from harness.values.endpoint import Endpoint

LIMIT_SECONDS = 10
NOWHERE = Endpoint("127.0.0.1", 9)


def specs(master: socket.socket, *ranks: int) -> list[LinkSpec]:
    """A link to the master for each rank."""
    return [LinkSpec(rank, Endpoint(*master.getsockname())) for rank in ranks]


def echoed(link: Link, master: socket.socket, message: bytes) -> bytes:
    """What comes back when a message is sent through the link."""
    with socket.create_connection(link.address.connectable, timeout=LIMIT_SECONDS) as client:
        client.sendall(message)
        server, _ = master.accept()
        with server:
            server.sendall(server.recv(len(message)))
            return client.recv(len(message))


def await_true(fact: Callable[[], object]) -> None:
    """Wait until the condition holds; fail after the limit."""
    deadline = time.monotonic() + LIMIT_SECONDS
    while not fact():
        assert time.monotonic() < deadline
        time.sleep(0.002)
