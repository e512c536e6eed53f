"""The traffic of a link: all of it is counted, and bytes that are held back are told from passing ones."""

from __future__ import annotations

import contextlib
import itertools
import socket
import threading

import pytest
from link_helpers import LIMIT_SECONDS, NOWHERE, await_true, echoed, specs

from harness.proxies.base import LinkSpec
from harness.proxies.toxiproxy import Toxiproxy


@pytest.mark.needs_toxiproxy
def test_traffic_of_a_connection_that_came_and_went_unseen_is_counted(own: Toxiproxy, master: socket.socket):
    """The server's log has the accepted connection, its counters the bytes."""
    used, unused = own.make(specs(master, 1, 2))
    assert echoed(used, master, b"12345") == b"12345"
    await_true(lambda: used.traffic().upstream_bytes == used.traffic().downstream_bytes == 5)
    assert (used.traffic().accepted, used.traffic().open, used.traffic().ended) == (1, 0, 1)
    assert (unused.traffic().accepted, unused.traffic().upstream_bytes) == (0, 0)
    assert used.traffic().complete


@pytest.mark.needs_toxiproxy
def test_traffic_only_grows(own: Toxiproxy, master: socket.socket):
    """Connections that end keep their counts, and are not counted twice."""
    (link,) = own.make(specs(master, 1))
    seen = [link.traffic()]
    for number in range(1, 6):
        with socket.create_connection(link.address.connectable, timeout=LIMIT_SECONDS) as client:
            server, _ = master.accept()
            with server:
                client.sendall(b"four")
                server.recv(4)
                seen.append(link.traffic())
        await_true(lambda: link.traffic().open == 0)
        seen.append(link.traffic())
        assert (seen[-1].accepted, seen[-1].upstream_bytes) == (number, 4 * number)
    for old, new in itertools.pairwise(seen):
        assert old.accepted <= new.accepted
        assert old.upstream_bytes <= new.upstream_bytes


@pytest.mark.needs_toxiproxy
def test_a_master_that_cannot_be_reached_is_told_apart(own: Toxiproxy):
    """The link accepts and closes again: such refusals are counted as the proxy's own."""
    (link,) = own.make([LinkSpec(1, NOWHERE)])
    with socket.create_connection(link.address.connectable, timeout=LIMIT_SECONDS) as client:
        assert client.recv(1) == b""
    assert (link.traffic().accepted, link.traffic().unreached) == (1, 1)


@pytest.mark.needs_toxiproxy
def test_bytes_in_flight_are_never_surely_held(own: Toxiproxy, master: socket.socket):
    """Beside a busy link, bytes on their way may belong to either link, so neither is said to hold them."""
    busy, holding = own.make(specs(master, 1, 2))
    holding.add_toxic("hole", "timeout", "downstream", 1.0, {"timeout": 0})
    with socket.create_connection(busy.address.connectable, timeout=LIMIT_SECONDS) as client:
        server, _ = master.accept()
        server.settimeout(LIMIT_SECONDS)
        with server:
            stop = threading.Event()
            chat = threading.Thread(target=_chat, args=(client, server, stop))
            chat.start()
            for _ in range(50):
                holding.traffic()
            stop.set()
            chat.join()
            at_rest = len(holding.traffic().held)
            assert len(holding.traffic().held) == at_rest
    assert {entry.links for entry in holding.traffic().held} <= {frozenset({busy.name, holding.name})}


@pytest.mark.needs_toxiproxy
def test_held_bytes_are_told_from_passing_ones_at_rest(own: Toxiproxy, master: socket.socket):
    """Once traffic rests, the count is exact, and the link that holds the bytes is named."""
    passing, holding = own.make(specs(master, 1, 2))
    with contextlib.ExitStack() as ends:
        pairs = []
        for link in (passing, holding):
            client = ends.enter_context(socket.create_connection(link.address.connectable, timeout=LIMIT_SECONDS))
            pairs.append((client, ends.enter_context(master.accept()[0])))
        holding.add_toxic("hole", "timeout", "downstream", 1.0, {"timeout": 0})
        for _, server in pairs:
            server.sendall(b"seven b")
        assert pairs[0][0].recv(7) == b"seven b"
        assert [(e.bytes, e.links) for e in holding.traffic().held] == [(7, frozenset({holding.name}))]


def _chat(client: socket.socket, server: socket.socket, stop: threading.Event) -> None:
    while not stop.is_set():
        server.sendall(b"ping")
        client.recv(4)
