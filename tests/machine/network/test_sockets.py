"""The kernel's view of sockets: who listens, how many bytes passed, and which ports are free."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Iterator

import pytest

from harness.machine.network import sockets
from harness.machine.network.sockets import Connection
from harness.values.endpoint import Endpoint


@pytest.fixture(params=["127.0.0.1", "::1"])
def listener(request: pytest.FixtureRequest) -> Iterator[socket.socket]:
    """A listening socket on each loopback."""
    family = socket.AF_INET6 if ":" in request.param else socket.AF_INET
    with socket.create_server((request.param, 0), family=family) as made:
        made.settimeout(10)
        yield made


def accepted_side(listener: socket.socket) -> Connection:
    """The kernel's view of the one connection on a listener's port."""
    (one,) = (c for c in sockets.connections() if c.local.port == listener.getsockname()[1])
    return one


def test_a_listener_is_found_with_its_holder(listener: socket.socket):
    """Address, inode and pid are those of this process's socket."""
    host, port = listener.getsockname()[:2]
    (found,) = (one for one in sockets.listeners() if one.address.port == port)
    assert found == sockets.Listener(Endpoint(host, port), os.fstat(listener.fileno()).st_ino, os.getpid())


def test_a_closed_listener_is_gone():
    """A closed socket is not listed."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    assert port not in [one.address.port for one in sockets.listeners(owners=False)]


def test_bytes_are_counted_whether_read_or_not(listener: socket.socket):
    """Five bytes one way, of which two were read, and three the other way; a FIN is not counted."""
    with socket.create_connection(listener.getsockname()[:2]) as client:
        server, _ = listener.accept()
        with server:
            client.sendall(b"12345")
            server.recv(2)
            server.sendall(b"abc")
            client.recv(3)
            one = accepted_side(listener)
            assert (one.state, one.received_bytes, one.sent_bytes) == ("established", 5, 3)
            client.shutdown(socket.SHUT_WR)
            while server.recv(5):
                pass
            one = accepted_side(listener)
            assert (one.state, one.received_bytes, one.sent_bytes) == ("close_wait", 5, 3)


def test_a_connection_that_was_not_accepted_has_no_inode(listener: socket.socket):
    """The kernel completes handshakes by itself."""
    with socket.create_connection(listener.getsockname()[:2]):
        assert accepted_side(listener).inode == 0


def test_a_cookie_is_never_used_twice(listener: socket.socket):
    """Two connections differ in it even when everything else is equal."""
    cookies = set()
    for _ in range(3):
        with socket.create_connection(listener.getsockname()[:2]):
            server, _ = listener.accept()
            with server:
                cookies |= {c.cookie for c in sockets.connections() if c.inode == os.fstat(server.fileno()).st_ino}
    assert len(cookies) == 3
    assert 0 not in cookies


@pytest.mark.parametrize("has_sock_diag", [True, False])
def test_the_remains_of_a_connection_are_not_listed(
    listener: socket.socket, monkeypatch: pytest.MonkeyPatch, has_sock_diag: bool
):
    """The side that closed first waits for the other's FIN without a socket; it would look like a new connection."""
    if not has_sock_diag:
        monkeypatch.setattr(sockets, "_diagnosed", _refuse)
    with socket.create_connection(listener.getsockname()[:2]) as client:
        listener.accept()[0].close()
        client.recv(1)
        port = listener.getsockname()[1]
        deadline = time.monotonic() + 10  # until the end is acknowledged; the remains stay for 60 s
        while [c for c in sockets.connections() if c.local.port == port]:
            assert time.monotonic() < deadline
        assert [c.state for c in sockets.connections() if c.remote.port == port] == ["close_wait"]


def test_an_ipv4_client_of_a_dual_stack_server_is_shown_as_ipv4():
    """A store listens on both families, and the addresses of its peers must compare equal."""
    with socket.create_server(("::", 0), family=socket.AF_INET6, dualstack_ipv6=True) as listener:
        with socket.create_connection(("127.0.0.1", listener.getsockname()[1])):
            assert accepted_side(listener).local.host == "127.0.0.1"


def test_without_sock_diag_the_table_of_proc_is_read(listener: socket.socket, monkeypatch: pytest.MonkeyPatch):
    """The same sockets, without byte counts."""
    with socket.create_connection(listener.getsockname()[:2]):
        diagnosed = accepted_side(listener)
        monkeypatch.setattr(sockets, "_diagnosed", _refuse)
        read = accepted_side(listener)
    assert (read.local, read.remote, read.state) == (diagnosed.local, diagnosed.remote, diagnosed.state)
    assert (read.sent_bytes, read.received_bytes) == (None, None)


def _refuse(*_: object) -> Iterator[Connection]:
    raise OSError("no sock_diag here")


def test_a_port_is_bindable_unless_somebody_listens(listener: socket.socket):
    """Also right after its connections have closed: TIME_WAIT does not count."""
    host, port = listener.getsockname()[:2]
    assert not sockets.port_is_bindable(host, port)
    with socket.create_connection((host, port)):
        listener.accept()[0].close()
    listener.close()
    assert sockets.port_is_bindable(host, port)


def test_a_refused_attempt_is_counted():
    """Connecting where nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    before = sockets.tcp_counters()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port))
    assert sockets.tcp_counters().attempts_failed > before.attempts_failed


def test_a_process_that_is_gone_holds_no_socket():
    """The result is the same as for a process that cannot be read."""
    assert sockets.inodes_of(2**22 + 1) == set()
