"""Connections between hosts: what passes the cables, what does not, and which errors the two ends get."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from fault_context import LIMIT_SECONDS, fault
from named_hosts import PORT, Town

from harness import clock
from harness.faults.base import FAULTS, Evidence, FaultMember
from harness.machine.network.network import NetworkHost
from harness.values.endpoint import Endpoint

SILENCE_S = 0.4
"""What passes takes less than a millisecond; the kernel sends again after 0.2 s at the earliest."""

NEEDS_ROOT = pytest.mark.skipif(os.getuid() != 0, reason="only root makes a network namespace without a user namespace")


def needs(*tools: str) -> list[pytest.MarkDecorator]:
    """Marks for tests that make hosts, and run these programs on them."""
    absent = [tool for tool in tools if shutil.which(tool, path="/usr/sbin:/sbin:/usr/bin:/bin") is None]
    return [NEEDS_ROOT, pytest.mark.skipif(bool(absent), reason=f"needs {', '.join(absent)}")]


@dataclass(frozen=True)
class FakeLink:
    """The part of a link that faults between hosts use."""

    rank: int
    address: Endpoint


@dataclass
class Line:
    """Both ends of an open connection."""

    near: socket.socket
    far: socket.socket

    def passes(self, text: bytes = b"x", within_s: float = SILENCE_S) -> bool:
        """Whether bytes from the near end reach the far one."""
        return _passes(self.near, self.far, text, within_s)

    def passes_back(self, text: bytes = b"x", within_s: float = SILENCE_S) -> bool:
        """Whether bytes from the far end reach the near one."""
        return _passes(self.far, self.near, text, within_s)

    def heard(self) -> tuple[bytes, bytes]:
        """The next byte that arrives at the far end, and at the near one."""
        return _heard(self.far), _heard(self.near)


def _heard(end: socket.socket) -> bytes:
    end.settimeout(LIMIT_SECONDS)
    return end.recv(1)


def _passes(source: socket.socket, target: socket.socket, text: bytes, within_s: float) -> bool:
    source.sendall(text)
    target.settimeout(within_s)
    with contextlib.suppress(TimeoutError):
        return target.recv(1) == text[:1]
    return False


@dataclass
class Exchange:
    """Servers on every host, to connect to."""

    town: Town
    servers: dict[str, socket.socket] = field(default_factory=dict)
    stack: contextlib.ExitStack = field(default_factory=contextlib.ExitStack)

    def line(self, source: str, target: str) -> Line:
        """An open connection, made from one host to another."""
        with self.town.by_name[source].inside():
            near = socket.create_connection((self.town.by_name[target].address, PORT), timeout=LIMIT_SECONDS)
        far, _ = self.servers[target].accept()
        self.stack.enter_context(near)
        self.stack.enter_context(far)
        return Line(near, far)

    def reached(self, source: str, target: str) -> str:
        """`connected`, or the name of the error's class."""
        host = self.town.by_name[target]
        try:
            with self.town.by_name[source].inside(), socket.create_connection((host.address, PORT), SILENCE_S):
                return "connected"
        except OSError as error:
            return type(error).__name__


@contextlib.contextmanager
def exchange(town: Town) -> Iterator[Exchange]:
    made = Exchange(town)
    with made.stack:
        for name, host in town.by_name.items():
            family = socket.AF_INET6 if ":" in host.address else socket.AF_INET
            with host.inside():
                made.servers[name] = made.stack.enter_context(socket.create_server((host.address, PORT), family=family))
            made.servers[name].settimeout(LIMIT_SECONDS)
        yield made


def member(kind: str, *ranks: int, **attributes: Any) -> FaultMember:
    """A fault with the defaults of its declaration."""
    defaults = {
        one.name: one.default for one in FAULTS[kind].declaration.attributes if isinstance(one.default, int | str)
    }
    absent = {one.name: None for one in FAULTS[kind].declaration.attributes}
    return FAULTS[kind](fault(kind, *ranks, **{**absent, **defaults, **attributes}))


def evidence_when(evidence: Callable[[], Evidence], until: Callable[[Evidence], bool]) -> Evidence:
    """The evidence once it fulfils the condition; at the time limit, as it is then."""
    deadline_ns = clock.now_ns() + LIMIT_SECONDS * 10**9
    while not until(found := evidence()) and clock.now_ns() < deadline_ns:
        pass
    return found


def sent(line: Line, size: int) -> int:
    """How many nanoseconds that many bytes take from the near end to the far one."""
    begun_ns = clock.now_ns()
    sender = threading.Thread(target=line.near.sendall, args=(bytes(size),))
    sender.start()
    line.far.settimeout(LIMIT_SECONDS)
    while size:
        size -= len(line.far.recv(size))
    sender.join()
    return clock.now_ns() - begun_ns


@dataclass
class Post:
    """Datagrams from one host to another."""

    source: NetworkHost
    target: NetworkHost

    def __enter__(self) -> Post:
        with self.target.inside():
            self._box = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            self._box.bind((self.target.address, PORT))
        with self.source.inside():
            self._sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._box.setblocking(False)
        return self

    def __exit__(self, *_: object) -> None:
        self._box.close()
        self._sender.close()

    def send(self, number: int) -> None:
        """Raises OSError if the kernel reports that the datagram does not pass."""
        for _ in range(number):
            self._sender.sendto(b"x", (self.target.address, PORT))

    def received(self) -> int:
        """How many have arrived since the last call."""
        found = 0
        with contextlib.suppress(BlockingIOError):
            while True:
                self._box.recv(1)
                found += 1
        return found
