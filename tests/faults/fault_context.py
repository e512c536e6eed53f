"""A double of what a fault may touch: real processes and ports, and a record of the calls of the fault."""

from __future__ import annotations

import contextlib
import hashlib
import os
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from harness.proxies.base import Link
from harness.scenario.scenario import Fault
from harness.values.endpoint import Endpoint
from harness.worlds.base import Host
from harness.worlds.processes import ONE_HOST

LIMIT_SECONDS = 10
"""How long a test waits for a fact before it fails; never reached where all is well."""


@dataclass
class FakeRank:
    """A living process in place of a rank."""

    rank: int
    process: subprocess.Popen[str]
    life: int = 1

    @property
    def pid(self) -> int:
        return self.process.pid

    def ask(self, line: str) -> str:
        """Send a line to the program and read its answer."""
        assert self.process.stdin is not None
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()
        return self.hear()

    def hear(self) -> str:
        """The next line that it prints."""
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()


@dataclass
class FakeFaultContext:
    """Implements `harness.faults.base.FaultContext`; `calls` lists what the fault called, in order."""

    endpoint: Endpoint = field(default_factory=lambda: Endpoint("127.0.0.1", 1))
    ranks: dict[int, FakeRank] = field(default_factory=dict)
    known_links: Sequence[Link] = ()
    calls: list[tuple[Any, ...]] = field(default_factory=list)
    master_joins: bool = False
    private_network: bool = False
    helper_program: str = ""
    world_host: Host = ONE_HOST

    def host(self, rank: int) -> Host:
        return self.world_host

    @property
    def hosts(self) -> Sequence[Host]:
        return (self.world_host,)

    @property
    def master_host(self) -> Host:
        return self.world_host

    @property
    def proxy_host(self) -> Host:
        return self.world_host

    def links(self, ranks: Sequence[int]) -> Sequence[Link]:
        return [link for link in self.known_links if link.rank in ranks]

    def process(self, rank: int) -> FakeRank | None:
        return self.ranks.get(rank)

    def expect_end(self, rank: int, fault: str) -> None:
        self.calls.append(("expect_end", rank, fault))

    def paused(self, rank: int, is_paused: bool) -> None:
        self.calls.append(("paused", rank, is_paused))

    def seed(self, purpose: str) -> int:
        return int.from_bytes(hashlib.sha256(purpose.encode()).digest()[:8], "big")

    def master_join_begun_since(self, time_ns: int) -> bool:
        return self.master_joins

    @contextlib.contextmanager
    def helper(self, module: str, arguments: Mapping[str, Any]) -> Iterator[int]:
        """Run `helper_program` with the port as its argument; it is ready when it prints a line."""
        self.calls.append(("helper", module, dict(arguments)))
        with program(self.helper_program, str(arguments.get("port"))) as process:
            assert process.stdout is not None
            process.stdout.readline()
            yield process.pid
        self.calls.append(("helper ended", module))


@contextlib.contextmanager
def program(source: str, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    """A Python program in its own process, which is ended by its pid."""
    command = [sys.executable, "-I", "-c", source, *arguments]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


@contextlib.contextmanager
def rank_processes(source: str, *ranks: int) -> Iterator[FakeFaultContext]:
    """A FaultContext with such a process for each rank; each has printed a line."""
    with contextlib.ExitStack() as stack:
        context = FakeFaultContext()
        for rank in ranks:
            context.ranks[rank] = FakeRank(rank, stack.enter_context(program(source)))
        for fake in context.ranks.values():
            fake.hear()
        yield context


def fault(kind: str, *ranks: int, **attributes: Any) -> Fault:
    """A fault as the loader would make it, held until the end of the play."""
    return Fault(name=kind, kind=kind, ranks=ranks, attributes=attributes)


def free_port(address: str = "127.0.0.1") -> int:
    """A free port, below those that the system assigns by itself, in a range that only this worker uses."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    first = 10_000 + worker % 20 * 500
    for port in range(first, first + 500):
        with contextlib.suppress(OSError), socket.socket(family) as probe:
            probe.bind((address, port))
            return port
    raise AssertionError("no free port")


def connects(host: str, port: int) -> bool:
    """Whether anything listens there."""
    with contextlib.suppress(OSError), socket.create_connection((host, port), timeout=LIMIT_SECONDS):
        return True
    return False
