"""Any bytes at all may be sent to the engine's API: it answers or closes, reports no error of its own, and goes on."""

from __future__ import annotations

import contextlib
import os
import random
import socket
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest
from api_requests import drawn
from backends import Backend, Upstream, is_open, started

CORPUS = sorted((Path(__file__).parent / "corpus" / "api").glob("*.http"))
SEED = int(os.environ.get("RDZV_FUZZ_SEED") or random.SystemRandom().randrange(2**31))
LOOK_EVERY = 20
MEMORY_BYTES = 256 << 20
"""Address space that the engine may use beyond what it has at its start; a request has 1 MiB of body at most."""

LIMIT_SECONDS = 20.0
OPTIONS = ("--read-timeout", "0.2", "--events", "1000")
"""A request that is not complete ends soon, and the log of events stays small."""


@dataclass
class Target:
    """An engine that is bounded in memory, and what it wrote."""

    engine: Backend
    log: Path
    upstream: Upstream

    def send(self, data: bytes) -> bytes:
        """The first line of the answer that is not a 100; empty if the engine closed the connection."""
        address = (self.engine.api.host, self.engine.api.port)
        with socket.create_connection(address, timeout=LIMIT_SECONDS) as sock, contextlib.suppress(ConnectionError):
            with contextlib.suppress(ConnectionError):  # it may close before it has read everything
                sock.sendall(data)
            return _first_line(sock)
        return b""

    def problem(self, line: bytes) -> str:
        """What is wrong with an answer that begins with this line; empty if nothing is."""
        if line and not line.startswith(b"HTTP/1.1 "):
            return f"an answer begins with {line!r}"
        return "the status is 500" if line.startswith(b"HTTP/1.1 500 ") else ""

    def look(self) -> str:
        """Whether the engine answers, forwards, and has written nothing; what is wrong, or empty."""
        if len(said := self.log.read_text(errors="replace").splitlines()) > 1:
            return "\n".join(["it wrote:", *said[1:]])
        if self.engine.ask("GET", "/version").status != 200:
            return "/version is not answered"
        proxy = self.engine.make(self.upstream)
        with proxy.connect() as client, self.upstream.accept() as server:
            forwards = is_open(client, server)
        self.engine.ask("DELETE", proxy.path)
        return "" if forwards else "a proxy does not forward"


def _first_line(sock: socket.socket) -> bytes:
    data = b""
    while True:
        while b"\r\n\r\n" not in data:
            part = sock.recv(1 << 16)
            if not part:
                return data
            data += part
        line = data.partition(b"\r\n")[0]
        if not line.startswith(b"HTTP/1.1 100 "):
            # Of the errors that the real server answers with 500, one remains: an address that nobody can listen on.
            return line.replace(b" 500 ", b" 502 ") if _is_of_an_address(sock, data) else line
        data = data.partition(b"\r\n\r\n")[2]


def _is_of_an_address(sock: socket.socket, data: bytes) -> bool:
    if not data.startswith(b"HTTP/1.1 500 "):
        return False
    while b'"listen tcp' not in data and (part := sock.recv(1 << 16)):
        data += part
    return b'"listen tcp' in data


@pytest.fixture
def target(tmp_path: Path) -> Iterator[Target]:
    """An engine with a bound on its address space."""
    upstream = Upstream()
    with started("embedded", tmp_path, *OPTIONS) as engine:
        process = psutil.Process(engine.pid)
        limit = process.memory_info().vms + MEMORY_BYTES
        process.rlimit(psutil.RLIMIT_AS, (limit, limit))
        yield Target(engine, tmp_path / "embedded.log", upstream)
    upstream.close()


def play(target: Target, requests: Sequence[bytes], replay: str) -> None:
    """Send them, and look at the engine after some; fails with the requests since the last look."""
    since: list[bytes] = []
    for number, data in enumerate(requests, 1):
        since.append(data)
        problem = target.problem(target.send(data))
        if number % LOOK_EVERY == 0 or number == len(requests) or problem:
            problem = "; ".join(filter(None, (problem, target.look())))
            shown = [one if len(one) < 2000 else one[:500] + b" ... " + one[-500:] for one in since]
            assert not problem, f"{problem}\n{replay}: after one of {shown}"
            since.clear()


@pytest.mark.parametrize("count", [200, pytest.param(10_000, marks=pytest.mark.nightly)])
def test_drawn_requests_are_answered_or_closed(target: Target, count: int) -> None:
    """RDZV_FUZZ_SEED draws the same again."""
    print(f"seed {SEED}: RDZV_FUZZ_SEED={SEED} draws the same requests")
    chance = random.Random(SEED)
    play(target, [drawn(chance) for _ in range(count)], f"RDZV_FUZZ_SEED={SEED}")


def test_what_was_found_stays_mended(target: Target) -> None:
    """Each file of the corpus once had no answer, or made the engine report an error of its own."""
    assert CORPUS
    play(target, [path.read_bytes() for path in CORPUS], ", ".join(path.name for path in CORPUS))
