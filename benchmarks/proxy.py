"""Round trips and throughput through nothing, the embedded engine and the real server, side by side in one run.

    python benchmarks/proxy.py [--rounds 5] [--round-trips 2000] [--megabytes 64] [--json FILE]

The three take turns, so that whatever else the machine does meets all of them alike. Prints the median over the rounds.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from harness.machine.toxiproxy import server as proxy_server
from harness.values.errors import Unsupported

MESSAGE = bytes(64)
MEGABYTE = 1_000_000
LIMIT_SECONDS = 60
TIMES_AS_SLOW = 2.0
"""The engine's median round trip may take so many times the real server's."""
LEAST_MEGABYTES_PER_SECOND = 50.0


class Peer:
    """Answers every 64 bytes with 64, or swallows what a sender sends and answers its end with one byte."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            sock, _ = self._listener.accept()
            threading.Thread(target=self._answer, args=(sock,), daemon=True).start()

    def _answer(self, sock: socket.socket) -> None:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with sock:
            wanted = int.from_bytes(sock.recv(8, socket.MSG_WAITALL), "little")
            if not wanted:
                while data := sock.recv(64, socket.MSG_WAITALL):
                    sock.sendall(data)
                return
            while wanted and (count := len(sock.recv(1 << 18))):
                wanted -= count
            sock.sendall(b".")
            sock.recv(1)


def connect(port: int) -> socket.socket:
    sock = socket.create_connection(("127.0.0.1", port), timeout=LIMIT_SECONDS)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return sock


def round_trips_us(port: int, count: int) -> list[float]:
    """Microseconds of each round trip of 64 bytes."""
    took = []
    with connect(port) as sock:
        sock.sendall(bytes(8))
        for _ in range(count):
            began = time.perf_counter_ns()
            sock.sendall(MESSAGE)
            sock.recv(64, socket.MSG_WAITALL)
            took.append((time.perf_counter_ns() - began) / 1000)
    return took


def megabytes_per_second(port: int, megabytes: int) -> float:
    """How fast so many million bytes are sent and swallowed."""
    block, wanted = bytes(MEGABYTE), megabytes * MEGABYTE
    with connect(port) as sock:
        began = time.perf_counter()
        sock.sendall(wanted.to_bytes(8, "little"))
        for _ in range(megabytes):
            sock.sendall(block)
        sock.recv(1)
        return megabytes / (time.perf_counter() - began)


# -- the three ways ----------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def embedded(upstream: int) -> Iterator[int]:
    """Through the engine."""
    argv = [sys.executable, "-m", "harness.engine", "--port", "0", "--parent-pid", str(os.getpid())]
    with subprocess.Popen(argv, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        try:
            yield proxied(json.loads(process.stdout.readline())["port"], upstream)
        finally:
            process.terminate()


@contextlib.contextmanager
def real(upstream: int) -> Iterator[int]:
    """Through toxiproxy-server; raises Unsupported where there is none."""
    children = _Children()
    with tempfile.TemporaryDirectory() as folder:
        running = proxy_server.launch(children, proxy_server.require_server(), Path(folder) / "proxy.log")
        try:
            yield proxied(running.api.port, upstream)
        finally:
            proxy_server.stop(children, running)


class _Children:
    """What `proxy_server.launch` asks for, for a program with one child."""

    def spawn(
        self,
        argv: Sequence[str],
        *,
        env: Mapping[str, str],
        stdout_path: Path | None = None,
        pass_fds: Sequence[int] = (),
    ) -> int:
        with open(stdout_path or os.devnull, "ab") as output:
            self._process = subprocess.Popen(argv, env=dict(env), stdout=output, stderr=output, pass_fds=pass_fds)
        return self._process.pid

    def wait(self, pid: int, within_ns: int) -> int | None:
        try:
            return self._process.wait(within_ns / 1e9)
        except subprocess.TimeoutExpired:
            return None

    def end(self, pid: int, grace_ns: int) -> int | None:
        self._process.send_signal(signal.SIGTERM)
        return self._process.wait()


def proxied(api_port: int, upstream: int) -> int:
    """The port of a new proxy."""
    body = json.dumps({"name": "p", "listen": "127.0.0.1:0", "upstream": f"127.0.0.1:{upstream}"}).encode()
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(f"http://127.0.0.1:{api_port}/proxies", body) as answer:
        return int(json.load(answer)["listen"].rpartition(":")[2])


# -- the run -----------------------------------------------------------------------------------------------------------


def measure(ports: Mapping[str, int], rounds: int, count: int, megabytes: int) -> dict[str, dict[str, float]]:
    """For each way the median over the rounds: p50 and p99 of round trips in us, and megabytes per second."""
    seen: dict[str, list[tuple[float, float, float]]] = {way: [] for way in ports}
    for _ in range(rounds):
        for way, port in ports.items():
            took = sorted(round_trips_us(port, count))
            speed = megabytes_per_second(port, megabytes)
            seen[way].append((statistics.median(took), took[int(len(took) * 0.99)], speed))
    names = ("p50_us", "p99_us", "megabytes_per_second")
    return {
        way: {name: statistics.median(column) for name, column in zip(names, zip(*rows, strict=True), strict=True)}
        for way, rows in seen.items()
    }


def main() -> int:
    """Print a line for each way; status 1 if the engine misses its goal."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--round-trips", type=int, default=2000)
    parser.add_argument("--megabytes", type=int, default=64)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    peer = Peer()
    with contextlib.ExitStack() as stack:
        ports = {"direct": peer.port, "embedded": stack.enter_context(embedded(peer.port))}
        try:
            ports["real"] = stack.enter_context(real(peer.port))
        except Unsupported as missing:
            print(f"without the real server: {missing}")
        found = measure(ports, given.rounds, given.round_trips, given.megabytes)
    print(f"{'':10}{'p50 us':>10}{'p99 us':>10}{'MB/s':>10}")
    for way, figures in found.items():
        print(f"{way:10}" + "".join(f"{figure:10.0f}" for figure in figures.values()))
    if given.json:
        given.json.write_text(json.dumps(found, indent=2) + "\n")
    return 0 if reached(found) else 1


def reached(found: Mapping[str, Mapping[str, float]]) -> bool:
    """Whether the engine is as fast as it is meant to be; says so."""
    fast = found["embedded"]["megabytes_per_second"] >= LEAST_MEGABYTES_PER_SECOND
    print(f"at least {LEAST_MEGABYTES_PER_SECOND:.0f} MB/s: {'yes' if fast else 'no'}")
    if "real" not in found:
        return fast
    times = found["embedded"]["p50_us"] / found["real"]["p50_us"]
    print(f"p50 is {times:.2f} times the real server's; goal: at most {TIMES_AS_SLOW}")
    return fast and times <= TIMES_AS_SLOW


if __name__ == "__main__":
    sys.exit(main())
