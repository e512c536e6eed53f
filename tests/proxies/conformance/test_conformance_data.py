"""Bytes and ends through a proxy without toxics, and what a change of the proxy does to open connections."""

from __future__ import annotations

import concurrent.futures
import contextlib
import hashlib
import os
import random
import select
import socket
import threading
from pathlib import Path
from typing import Any

import pytest
from backends import LIMIT_SECONDS, Backend, Proxy, Upstream, ending, is_open, late, nothing, now_ms, read, reset
from differences import difference


@pytest.mark.parametrize("size", [1, 64 * 1024, 8 * 1024 * 1024])
def test_bytes_pass_both_ways_unchanged(pair: Any, size: int):
    """One byte, one buffer, and more than all buffers hold."""
    data = random.Random(size).randbytes(size)
    for source, destination in ((pair.client, pair.server), (pair.server, pair.client)):
        sender = threading.Thread(target=source.sendall, args=(data,))
        sender.start()
        assert hashlib.sha256(read(destination, size)).digest() == hashlib.sha256(data).digest()
        sender.join()


def test_200_connections_at_once_do_not_mix(proxy: Proxy, upstream: Upstream):
    """Each connection gets its own answer."""
    clients = [proxy.connect() for _ in range(200)]
    for number, client in enumerate(clients):
        client.sendall(b"%03d" % number)
    servers = [upstream.accept() for _ in clients]
    for server in servers:
        server.sendall(read(server, 3))
    assert [read(client, 3) for client in clients] == [b"%03d" % number for number in range(200)]
    for sock in (*clients, *servers):
        sock.close()


@pytest.mark.parametrize("closer", ["client", "server"])
def test_a_close_on_one_side_is_an_end_of_file_on_the_other(pair: Any, closer: str):
    """What was sent before the close arrives."""
    one, other = getattr(pair, closer), pair.server if closer == "client" else pair.client
    one.sendall(b"last words")
    one.close()
    assert ending(other) == (b"last words", "eof")


@pytest.mark.parametrize("resetter", ["client", "server"])
def test_a_reset_on_one_side_is_an_end_of_file_on_the_other(pair: Any, resetter: str):
    """The other side gets no reset."""
    one, other = getattr(pair, resetter), pair.server if resetter == "client" else pair.client
    assert is_open(pair.client, pair.server)
    reset(one)
    assert ending(other) == (b"", "eof")


def test_a_half_close_closes_both_directions(pair: Any):
    """The server sees the end of the request, its late reply is lost, the client sees an end and no reply."""
    pair.client.sendall(b"request")
    pair.client.shutdown(socket.SHUT_WR)
    assert ending(pair.server) == (b"request", "eof")
    assert ending(pair.client) == (b"", "eof")


def test_a_reply_that_is_on_its_way_survives_a_half_close(proxy: Proxy, pair: Any):
    """A reply that waits in a latency is delivered, then the end."""
    proxy.toxic("latency", latency=300)
    pair.server.sendall(b"reply")
    assert nothing(pair.client, 0.1)
    pair.client.shutdown(socket.SHUT_WR)
    assert ending(pair.client) == (b"reply", "eof")


def test_a_client_connects_though_the_upstream_is_down(backend: Backend):
    """Then it sees the end."""
    with socket.create_server(("127.0.0.1", 0)) as gone:
        port = gone.getsockname()[1]
    proxy = backend.make(f"127.0.0.1:{port}")
    with proxy.connect() as client:
        assert ending(client) == (b"", "eof")
    with proxy.connect() as client:
        try:
            client.sendall(b"too early")
            said = ending(client)[1]
        except OSError:
            said = "rst"
        assert said in ("eof", "rst")  # bytes race with the refused dial


@pytest.mark.parametrize("how", ["disable", "delete"])
def test_both_peers_see_the_end_when_a_proxy_goes(
    backend: Backend, proxy: Proxy, pair: Any, upstream: Upstream, how: str
):
    """New clients are refused; a proxy that is made again works."""
    assert is_open(pair.client, pair.server)
    if how == "disable":
        assert proxy.update(enabled=False).status == 200
    else:
        assert backend.ask("DELETE", proxy.path).status == 204
    assert ending(pair.client) == (b"", "eof")
    assert ending(pair.server) == (b"", "eof")
    with pytest.raises(ConnectionRefusedError):
        proxy.connect()
    if how == "disable":
        assert proxy.update(enabled=True).status == 200
        with proxy.connect() as client, upstream.accept() as server:
            assert is_open(client, server)


def test_a_peer_with_unread_bytes_is_reset_when_a_proxy_is_disabled(proxy: Proxy, pair: Any):
    """The kernel's answer to closing a socket that has not been read."""
    pair.client.setblocking(False)
    sent = 0
    while select.select([], [pair.client], [], 0.2)[1]:
        sent += pair.client.send(b"x" * 65536)
    assert sent > 100_000
    proxy.update(enabled=False)
    assert ending(pair.client)[1] == "rst"


def test_bytes_inside_a_toxic_are_lost_when_a_proxy_is_disabled(proxy: Proxy, pair: Any):
    """The client sees the end and no bytes."""
    proxy.toxic("latency", latency=60_000)
    pair.server.sendall(b"late")
    assert nothing(pair.client)
    proxy.update(enabled=False)
    assert ending(pair.client) == (b"", "eof")


def test_another_upstream_cuts_connections_and_keeps_the_port(proxy: Proxy, pair: Any):
    """The next client reaches the new upstream."""
    other, listen = Upstream(), proxy.listen
    assert proxy.update(upstream=str(other)).json["listen"] == listen
    assert ending(pair.client) == (b"", "eof")
    assert ending(pair.server) == (b"", "eof")
    with proxy.connect() as client, other.accept() as server:
        assert is_open(client, server)
    other.close()


def test_500_connections_leave_no_descriptor(backend: Backend, proxy: Proxy, upstream: Upstream):
    """The server has as many descriptors as before, and still works."""
    with proxy.connect() as client, upstream.accept() as server:
        assert is_open(client, server)
    proxy.update(enabled=False)
    proxy.update(enabled=True)
    before = backend.descriptors()
    for _ in range(500):
        with proxy.connect() as client, upstream.accept() as server:
            assert is_open(client, server)
    proxy.update(enabled=False)
    proxy.update(enabled=True)
    assert backend.descriptors() <= before + 2


@difference("hanging dial")
def test_a_dial_that_hangs(backend: Backend):
    """The real server waits for it when the proxy is disabled; the engine does not wait."""
    with socket.create_server(("127.0.0.1", 0), backlog=0) as full, Fillers(full):
        proxy = backend.make(f"127.0.0.1:{full.getsockname()[1]}")
        with proxy.connect() as hanging, concurrent.futures.ThreadPoolExecutor(1) as pool:
            assert nothing(hanging)
            disabled = pool.submit(proxy.update, enabled=False)
            done, _ = concurrent.futures.wait([disabled], timeout=1 if backend.is_real else LIMIT_SECONDS)
            assert bool(done) is not backend.is_real
            full.settimeout(0.1)
            while not disabled.done():
                with contextlib.suppress(TimeoutError):
                    full.accept()[0].close()  # makes room for the dial, which tries again after 1, 3, 7 s
            assert disabled.result().status == 200


@difference("hanging dial, other clients")
def test_a_dial_that_hangs_and_other_clients(backend: Backend, upstream: Upstream):
    """The real server dials for one client after the other; the engine for all at once."""
    with socket.create_server(("127.0.0.1", 0), backlog=0) as full, Fillers(full):
        proxy = backend.make(f"127.0.0.1:{full.getsockname()[1]}")
        with proxy.connect() as hanging:
            assert nothing(hanging)
            dialled = sum(remote == full.getsockname()[1] for remote in dialling())
            with proxy.connect() as second:
                assert nothing(second)
                now = sum(remote == full.getsockname()[1] for remote in dialling())
                assert now - dialled == (0 if backend.is_real else 1)
            full.settimeout(0.2)
            with contextlib.suppress(TimeoutError):
                while True:
                    full.accept()[0].close()


def dialling() -> list[int]:
    """The local port of every connection on this machine that waits for its first answer."""
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return [int(row[2].partition(":")[2], 16) for row in rows if row[3] == "02"]


class Fillers:
    """Fill a listener's queue, so that the next client to connect gets no answer."""

    def __init__(self, listener: socket.socket) -> None:
        self._address = listener.getsockname()
        self._filling: list[socket.socket] = []

    def __enter__(self) -> None:
        for _ in range(3):
            sock = socket.socket()
            sock.setblocking(False)
            sock.connect_ex(self._address)
            self._filling.append(sock)

    def __exit__(self, *_: object) -> None:
        for sock in self._filling:
            sock.close()


def test_a_stalled_receiver_stalls_its_sender(pair: Any):
    """The proxy takes no more than it can pass on; everything arrives once the receiver reads."""
    pair.client.setblocking(False)
    sent = 0
    while select.select([], [pair.client], [], 0.5)[1]:
        sent += pair.client.send(os.urandom(65536))
        assert sent < 256 * 1024 * 1024, "it never stalled"
    pair.client.setblocking(True)
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        received = pool.submit(read, pair.server, sent)
        assert len(received.result(LIMIT_SECONDS)) == sent


@pytest.mark.parametrize("stream", ["upstream", "downstream"])
def test_bytes_of_a_peer_that_is_gone_are_still_delivered(proxy: Proxy, pair: Any, stream: str):
    """Bytes inside a toxic arrive, whether their sender closed or reset."""
    proxy.toxic("latency", stream=stream, latency=200)
    sender, receiver = (pair.client, pair.server) if stream == "upstream" else (pair.server, pair.client)
    began = now_ms()
    sender.sendall(b"testament")
    assert nothing(receiver, 0.05)
    sender.close()
    assert ending(receiver) == (b"testament", "eof")
    assert late(began, 200)
