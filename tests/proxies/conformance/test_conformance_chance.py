"""Toxicity, many connections, changes under load, and how a server begins and ends."""

from __future__ import annotations

import concurrent.futures
import os
import random
import select
import signal
import socket
import threading
from pathlib import Path
from typing import Any

import pytest
from backends import LIMIT_SECONDS, Backend, Proxy, Upstream, ending, is_open, nothing, now_ms, read, started
from differences import difference

from harness.values.errors import ProxyLost, Unsupported


def spared(pair: Any) -> bool:
    """Whether a byte from the server passes; a limit of 0 that acts closes instead."""
    pair.server.sendall(b"x")
    return bool(pair.client.recv(1))


def test_toxicity_is_the_share_of_connections_that_are_hit(proxy: Proxy, pairs: Any):
    """With one half, 100 of 200 within what chance allows: false alarms are about 2 in 100,000."""
    proxy.toxic("limit_data", toxicity=0.5, bytes=0)
    assert 70 <= sum(spared(pairs()) for _ in range(200)) <= 130


@pytest.mark.parametrize(("toxicity", "passes"), [(0, True), (1, False), (-1, True), (2, False)])
def test_no_toxicity_never_hits_and_full_toxicity_always(proxy: Proxy, pairs: Any, toxicity: float, passes: bool):
    """A value below 0 counts as 0, above 1 as 1."""
    proxy.toxic("limit_data", toxicity=toxicity, bytes=0)
    assert {spared(pairs()) for _ in range(40)} == {passes}


def test_the_choice_holds_as_long_as_nothing_is_changed(proxy: Proxy, pairs: Any):
    """All bytes of a connection are hit, or none."""
    proxy.toxic("timeout", toxicity=0.5, timeout=0)
    for pair in [pairs() for _ in range(10)]:
        pair.server.sendall(b"x")
        if nothing(pair.client, 0.1):
            for _ in range(5):
                pair.server.sendall(b"x")
            assert nothing(pair.client, 0.05)
        else:
            assert read(pair.client, 1) == b"x"
            assert all(is_open(pair.client, pair.server) for _ in range(12))


@pytest.mark.parametrize(
    ("change", "redraws"), [("update", True), ("next", True), ("further", False), ("other stream", False)]
)
def test_a_change_of_the_toxic_or_its_neighbour_draws_anew(proxy: Proxy, pair: Any, change: str, redraws: bool):
    """Of 30 changes further down none changes whether a byte passes, of 30 nearer ones some do."""
    first = proxy.toxic("timeout", stream="upstream", toxicity=0.5, timeout=0)
    neighbour = proxy.toxic("noop", stream="upstream", name="neighbour") if change == "further" else ""
    fates = set()
    for number in range(30):
        if change == "update":
            proxy.change(first)
        else:
            stream = "downstream" if change == "other stream" else "upstream"
            name = proxy.toxic("noop", stream=stream, name=f"n{number}")
        pair.client.sendall(b"x")
        passes = bool(select.select([pair.server], [], [], 0.05)[0])
        if passes:
            read(pair.server, 1)
        fates.add(passes)
        if change != "update":
            proxy.remove(name)
    assert len(fates) == (2 if redraws else 1), neighbour


def test_a_change_reaches_100_connections_before_it_is_answered(proxy: Proxy, pairs: Any):
    """The answer comes within a second, and the next byte of each connection is hit."""
    made = [pairs() for _ in range(100)]
    began = now_ms()
    name = proxy.toxic("timeout", timeout=0)
    assert now_ms() - began < 1000
    for pair in made:
        pair.server.sendall(b"x")
    assert nothing(made[0].client)
    assert not select.select([pair.client for pair in made], [], [], 0)[0]
    proxy.remove(name)
    assert all(ending(pair.client) == (b"", "eof") for pair in made)


def test_changes_under_load_lose_and_mix_no_byte(proxy: Proxy, pair: Any):
    """Four threads add and remove toxics in both directions while 300 KB are echoed."""
    data, stop = random.Random(1).randbytes(300_000), threading.Event()
    kinds = [
        ("latency", {"latency": 2}),
        ("slicer", {"average_size": 500, "delay": 10}),
        ("bandwidth", {"rate": 50_000}),
    ]

    def churn(number: int) -> int:
        changes = 0
        while not stop.is_set():
            kind, attributes = kinds[changes % 3]
            stream = ("upstream", "downstream")[number % 2]
            proxy.remove(proxy.toxic(kind, stream=stream, name=f"{number}-{changes}", **attributes))
            changes += 1
        return changes

    def echo() -> None:
        left = len(data)
        while left:
            part = pair.server.recv(65536)
            pair.server.sendall(part)
            left -= len(part)

    with concurrent.futures.ThreadPoolExecutor(6) as pool:
        churning = [pool.submit(churn, number) for number in range(4)]
        echoing, sending = pool.submit(echo), pool.submit(pair.client.sendall, data)
        try:
            received = read(pair.client, len(data))
        finally:
            stop.set()
        assert received == data
        sending.result(LIMIT_SECONDS)
        echoing.result(LIMIT_SECONDS)
        assert all(one.result(LIMIT_SECONDS) > 0 for one in churning)


@difference("stalled receiver")
def test_a_toxic_comes_and_goes_though_a_receiver_is_stalled(proxy: Proxy, pair: Any):
    """The real server hangs until the receiver reads (its issue #558); the engine answers. No byte is lost."""
    proxy.toxic("latency", name="first", latency=1)
    pair.server.setblocking(False)
    sent = 0
    while select.select([], [pair.server], [], 0.5)[1]:
        sent += pair.server.send(bytes(65536))
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        changed = pool.submit(come_and_go, proxy)
        done, _ = concurrent.futures.wait([changed], timeout=1 if proxy.backend.is_real else LIMIT_SECONDS)
        assert bool(done) is not proxy.backend.is_real
        assert len(read(pair.client, sent)) == sent
        changed.result(LIMIT_SECONDS)


def come_and_go(proxy: Proxy) -> None:
    """Add and remove toxics behind and before each other."""
    for kind in ("noop", "latency"):
        proxy.remove(proxy.toxic(kind))
    proxy.remove("first")


def test_sigterm_ends_the_server(tmp_path: Path, server: Backend):
    """It exits with status 0 within seconds; peers see the end."""
    upstream = Upstream()
    with (
        started(server.name, tmp_path) as backend,
        backend.make(upstream).connect() as client,
        upstream.accept() as peer,
    ):
        assert is_open(client, peer)
        pidfd = os.pidfd_open(backend.pid)
        os.kill(backend.pid, signal.SIGTERM)
        assert ending(client) == (b"", "eof")
        assert ending(peer) == (b"", "eof")
        assert select.select([pidfd], [], [], LIMIT_SECONDS)[0]
        os.close(pidfd)
        assert os.waitid(os.P_PID, backend.pid, os.WEXITED | os.WNOWAIT).si_status == 0
    upstream.close()


def test_a_second_server_on_the_same_port_is_noticed(tmp_path: Path, server: Backend):
    """The process that launches it gets an error that says why."""
    with pytest.raises((ProxyLost, AssertionError), match=r"(?i)address already in use"):
        with started(server.name, tmp_path, api_port=server.api.port):
            pass
    assert server.ask("GET", "/version").status == 200


@difference("seed")
def test_an_equal_seed_makes_equal_draws(tmp_path: Path, server: Backend):
    """The engine hits the same connections, made in the same order; the real server's seed has no effect."""

    def fates(seed: str, run: int) -> list[bool]:
        upstream, folder = Upstream(), tmp_path / f"{seed}{run}"
        folder.mkdir()
        with started(server.name, folder, "-seed" if server.is_real else "--seed", seed) as backend:
            proxy = backend.make(upstream, name="p")
            proxy.toxic("limit_data", toxicity=0.5, bytes=0)
            drawn = []
            for _ in range(40):
                with proxy.connect() as client, upstream.accept() as peer:
                    peer.sendall(b"x")
                    drawn.append(bool(client.recv(1)))
        upstream.close()
        return drawn

    # Two runs of 40 fair draws are alike by chance once in 10^12.
    assert (fates("1", 1) == fates("1", 2)) is not server.is_real
    assert fates("1", 3) != fates("2", 1)


def test_the_api_survives_what_is_no_http(backend: Backend):
    """Half a request, garbage, and a connection that is reset do not harm it."""
    for raw in (b"GET /proxies HTTP/1.1\r\nHost: x\r\n", b"\x00\xff" * 100 + b"\r\n\r\n", b""):
        with socket.create_connection(backend.api.connectable, timeout=LIMIT_SECONDS) as sock:
            sock.sendall(raw)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    assert backend.ask("GET", "/version").status == 200


def test_a_server_that_is_not_there_is_unsupported(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    """The suite skips its tests for that reason; CI does not."""
    monkeypatch.setenv("RDZV_TOXIPROXY_SERVER", "")
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    with pytest.raises(Unsupported), started("real", tmp_path):
        pass
