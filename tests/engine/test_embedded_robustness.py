"""What the engine survives: many connections, peers that leave in every way, and a parent that dies."""

from __future__ import annotations

import itertools
import os
import select
import signal
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import psutil
import pytest
from backends import LIMIT_SECONDS, Backend, Proxy, Upstream, is_open, read, reset, started

CYCLES = 5_000
NIGHTLY_CYCLES = 100_000
ROUNDS = 10
MOST_ROUNDS = 40
STEP_BYTES = 256 << 10
"""By how much the process may grow in the median of the last rounds: by less than the allocator takes at a time. It
grows in some rounds, because garbage is collected in waves and the allocator comes to its size late on a busy machine;
a leak makes it grow in each, for ever. So a leak of 500 bytes a connection is found in rounds of 500 connections, and
one of 30 bytes in rounds of 10,000."""


def await_descriptors(engine: Backend, expected: int) -> None:
    """Wait until the engine has no more descriptors than that."""
    deadline = time.monotonic() + LIMIT_SECONDS
    while engine.descriptors() > expected:
        assert time.monotonic() < deadline, f"{engine.descriptors()} descriptors, {expected} before"
        select.select([], [], [], 0.005)


def rested(engine: Backend) -> int:
    """How many descriptors the engine has while no request is under way."""
    engine.ask("GET", "/version")
    counts = [engine.descriptors()]
    while len(counts) < 3 or len(set(counts[-3:])) > 1:
        select.select([], [], [], 0.01)
        counts.append(engine.descriptors())
    return counts[-1]


def grows(sizes: Sequence[int]) -> bool:
    """Whether a process of these sizes, one after each round, still grows; it is not known before enough rounds."""
    grown = [now - earlier for earlier, now in itertools.pairwise(sizes)]
    return len(grown) < ROUNDS or statistics.median(grown[-ROUNDS:]) >= STEP_BYTES


def test_a_leak_grows_for_ever_and_an_allocator_comes_to_rest():
    """However many rounds a process has come to rest after, it is seen; a leak never is taken for that."""
    leak = [n * (500 * 600) for n in range(MOST_ROUNDS + 1)]
    late = [*leak[:12], *([leak[12]] * ROUNDS)]
    assert all(grows(leak[:n]) for n in range(len(leak) + 1))
    assert grows(late[:12])
    assert not grows(late)


def test_256_connections_at_once_each_carry_their_own(engine: Backend, upstream: Upstream):
    """64 proxies carry four each, as for 64 ranks."""
    proxies = [engine.make(upstream) for _ in range(64)]
    clients = [proxy.connect() for proxy in proxies for _ in range(4)]
    for number, client in enumerate(clients):
        client.sendall(number.to_bytes(2, "big") * 1000)
    servers = [upstream.accept() for _ in clients]
    for server in servers:
        server.sendall(read(server, 2000))
    assert [read(client, 2000) for client in clients] == [n.to_bytes(2, "big") * 1000 for n in range(256)]
    for sock in (*clients, *servers):
        sock.close()


@pytest.mark.parametrize("cycles", [CYCLES, pytest.param(NIGHTLY_CYCLES, marks=pytest.mark.nightly)])
def test_connections_that_come_and_go_leave_nothing(tmp_path: Path, upstream: Upstream, cycles: int):
    """No descriptor and no memory stays, whichever side closes or resets; the log is bounded, and kept small here."""
    with started("embedded", tmp_path, "--events", "1000") as engine:
        proxy = engine.make(upstream)
        proxy.toxic("latency", latency=0)
        cycle(proxy, upstream, 1000)  # by then the allocator has most of what it holds on to
        before, sizes = rested(engine), [psutil.Process(engine.pid).memory_info().rss]
        while grows(sizes):
            assert len(sizes) <= MOST_ROUNDS, f"bytes after each {cycles // ROUNDS} connections: {sizes}"
            cycle(proxy, upstream, cycles // ROUNDS)
            sizes.append(psutil.Process(engine.pid).memory_info().rss)
        await_descriptors(engine, before)


def cycle(proxy: Proxy, upstream: Upstream, count: int) -> None:
    """Make connections one after the other; each side closes or resets them in turn."""
    for number in range(count):
        client = proxy.connect()
        client.sendall(b"x")
        server = upstream.accept()
        for sock, resets in ((client, number & 1), (server, number & 2)):
            if resets:
                reset(sock)
            sock.close()


WAYS = ("close", "reset", "half-close", "half-close and read", "stay")
CHAINS = {"bare": (), "latency": (("latency", {"latency": 20}),), "blackhole": (("timeout", {"timeout": 0}),)}


@pytest.mark.parametrize("chain", CHAINS)
@pytest.mark.parametrize(("client_way", "server_way"), list(itertools.product(WAYS, WAYS)))
def test_peers_that_go_in_any_way_leave_nothing(
    engine: Backend, upstream: Upstream, client_way: str, server_way: str, chain: str
):
    """Both sides may leave in any way with bytes under way in both directions; the next connection works."""
    proxy = engine.make(upstream)
    before = rested(engine)
    for kind, attributes in CHAINS[chain]:
        for stream in ("upstream", "downstream"):
            proxy.toxic(kind, stream=stream, **attributes)
    client, server = proxy.connect(), upstream.accept()
    for sock in (client, server):
        sock.sendall(bytes(100_000))
    leave(client, client_way)
    leave(server, server_way)
    client.close()
    server.close()
    await_descriptors(engine, before)
    engine.ask("POST", "/reset")
    with proxy.connect() as client, upstream.accept() as server:
        assert is_open(client, server)


def leave(sock: socket.socket, way: str) -> None:
    try:
        if way == "reset":
            reset(sock)
        elif way == "close":
            sock.close()
        elif way.startswith("half-close"):
            sock.shutdown(socket.SHUT_WR)
            if way.endswith("read"):
                sock.settimeout(0.05)
                sock.recv(1 << 20)
    except OSError:
        pass  # the other one's way has reached it already


def test_a_stalled_connection_ends_with_its_proxy(engine: Backend, upstream: Upstream):
    """A bandwidth of 0 passes nothing, not even an end; deleting the proxy ends the connection."""
    before = rested(engine)
    proxy = engine.make(upstream)
    for stream in ("upstream", "downstream"):
        proxy.toxic("bandwidth", stream=stream, rate=0)
    with proxy.connect() as client, upstream.accept() as server:
        client.sendall(b"x")
        server.sendall(b"x")
    assert engine.ask("DELETE", proxy.path).status == 204
    await_descriptors(engine, before)


def test_without_descriptors_clients_wait_until_there_are_some(tmp_path: Path, upstream: Upstream):
    """They wait in the kernel's queue, and the engine does not spin."""
    with started("embedded", tmp_path) as engine:
        proxy = engine.make(upstream)
        psutil.Process(engine.pid).rlimit(psutil.RLIMIT_NOFILE, (rested(engine) + 2, 4096))
        first = proxy.connect()
        with upstream.accept() as server:
            assert is_open(first, server)
        second = proxy.connect()
        spent = psutil.Process(engine.pid).cpu_times()
        select.select([], [], [], 0.5)
        assert psutil.Process(engine.pid).cpu_times().user - spent.user < 0.25
        first.close()
        with upstream.accept() as server:
            assert is_open(second, server)
        second.close()


PARENT = """
import os, subprocess, sys, time
read, write = os.pipe()
watched = ["--parent-fd", str(read)] if sys.argv[1] == "descriptor" else ["--parent-pid", str(os.getpid())]
engine = subprocess.Popen(
    [sys.executable, "-m", "harness.engine", "--port", "0", *watched],
    stdout=subprocess.PIPE,
    pass_fds=(read,),
)
print(engine.pid, engine.stdout.readline(), flush=True)
time.sleep(600)
"""


@pytest.mark.parametrize("by", ["descriptor", "pid"])
def test_the_engine_ends_when_its_parent_dies(by: str):
    """Also by SIGKILL, which no process can handle."""
    with subprocess.Popen([sys.executable, "-c", PARENT, by], stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        pidfd = os.pidfd_open(int(parent.stdout.readline().split()[0]))
        parent.send_signal(signal.SIGKILL)
        assert select.select([pidfd], [], [], LIMIT_SECONDS)[0]
        os.close(pidfd)


def test_an_idle_engine_needs_no_processor(engine: Backend, upstream: Upstream):
    """With 50 open connections it uses a twentieth of a processor at most."""
    proxy = engine.make(upstream)
    clients = [proxy.connect() for _ in range(50)]
    servers = [upstream.accept() for _ in clients]
    spent = psutil.Process(engine.pid).cpu_times()
    select.select([], [], [], 1.0)
    now = psutil.Process(engine.pid).cpu_times()
    assert now.user + now.system - spent.user - spent.system < 0.05
    for sock in (*clients, *servers):
        sock.close()
