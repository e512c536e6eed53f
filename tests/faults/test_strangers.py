"""strangers: real connections to the real endpoint, held until healed."""

from __future__ import annotations

import socket
import time

import pytest
from fault_context import LIMIT_SECONDS, FakeFaultContext, fault, free_port

from harness.faults.base import FAULTS
from harness.values.endpoint import Endpoint


def strangers(port: int, connections: int = 1, send: str | None = None):
    """The fault and its context."""
    context = FakeFaultContext(Endpoint("127.0.0.1", port))
    return FAULTS["strangers"](fault("strangers", connections=connections, send=send)), context


@pytest.fixture
def server():
    """A listener like the master's store."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(LIMIT_SECONDS)
        yield listener


def accept(listener: socket.socket) -> socket.socket:
    connection, _ = listener.accept()
    connection.settimeout(LIMIT_SECONDS)
    return connection


def test_as_many_connect_as_it_says_before_it_is_in_place(server: socket.socket):
    """All three wait in the listener's queue when the fault has been injected."""
    member, context = strangers(server.getsockname()[1], connections=3)
    with member.hold(context) as evidence:
        server.setblocking(False)
        for _ in range(3):
            server.accept()[0].close()
        with pytest.raises(BlockingIOError):
            server.accept()
        assert evidence().touched is True


def test_each_sends_its_text_once_and_stays(server: socket.socket):
    """The master reads the text, then nothing, and the end only after the fault is healed."""
    member, context = strangers(server.getsockname()[1], send="GET / HTTP/1.0\r\n\r\n")
    with member.hold(context) as evidence:
        master_side = accept(server)
        assert master_side.recv(100) == b"GET / HTTP/1.0\r\n\r\n"
        master_side.setblocking(False)
        with pytest.raises(BlockingIOError):
            master_side.recv(1)
        assert evidence().facts == {"connected": 1, "wanted": 1, "dropped_by_master": 0, "sent_bytes": 18}
    with master_side:
        master_side.settimeout(LIMIT_SECONDS)
        assert master_side.recv(1) == b""


def test_it_waits_for_a_listener_that_comes_later():
    """Injected before any process listens, it connects once one does."""
    port = free_port()
    member, context = strangers(port)
    with member.hold(context) as evidence:
        assert evidence().touched is False
        with socket.create_server(("127.0.0.1", port)) as late:
            late.settimeout(LIMIT_SECONDS)
            with accept(late) as master_side:
                master_side.sendall(b"?")
                deadline = time.monotonic() + LIMIT_SECONDS
                while evidence().touched is not True:  # the stranger learns of it after its master
                    assert time.monotonic() < deadline


def test_nobody_to_connect_to_touches_nothing():
    """No process listened: the evidence says so, and healing does not wait for one."""
    member, context = strangers(free_port(), connections=2)
    with member.hold(context) as evidence:
        found = evidence()
    assert (found.touched, found.facts["connected"]) == (False, 0)


def test_a_connection_that_the_master_drops_is_told_and_not_made_again(server: socket.socket):
    """One was dropped, one is still open, and no third one was made."""
    member, context = strangers(server.getsockname()[1], connections=2)
    with member.hold(context) as evidence, accept(server) as kept:
        accept(server).close()
        kept.setblocking(False)
        assert evidence().facts["connected"] == 2
        assert _until_dropped(evidence) == 1
        server.setblocking(False)
        with pytest.raises(BlockingIOError):
            server.accept()


def _until_dropped(evidence) -> int:
    """The number of dropped connections, once there are any: the close needs a moment to arrive."""
    for _ in range(1000):
        dropped = evidence().facts["dropped_by_master"]
        if dropped:
            return dropped
    return 0


def test_connections_to_another_port_are_no_evidence(server: socket.socket, monkeypatch: pytest.MonkeyPatch):
    """They were made, and the master has none of them."""
    connect, elsewhere = socket.create_connection, server.getsockname()
    monkeypatch.setattr(socket, "create_connection", lambda address, timeout=None: connect(elsewhere, timeout))
    member, context = strangers(free_port())
    with member.hold(context) as evidence:
        found = evidence()
    assert (found.touched, found.facts["connected"]) == (False, 1)
