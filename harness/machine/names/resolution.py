"""How the hosts of a world find each other by name, and how that is taken into a fault's hands.

As a rule a host's file of hosts has every name, and nobody needs a name server. A fault hides names there, so that the
C library goes on to a name server, and points it to the one here, on the proxy's host, or to nobody. All faults of a
world share the one server, each with a rule of its own, because there is one port 53.
"""

from __future__ import annotations

import contextlib
import ipaddress
import json
import os
import select
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Protocol, TypeVar

from harness import clock
from harness.machine.names import hosts_file, resolv_conf
from harness.machine.names.name_server import PORT, Rule
from harness.values.errors import HarnessError

ANSWERS_WITHIN_NS = 10_000_000_000
"""The server is ready after 50 ms and answers within one; only a machine that stands still takes longer."""

LOOPBACK = "127.0.0.1"
_BLOCKS = {4: (28, 24, 16), 6: (124, 120, 112)}


class NamedHost(Protocol):
    """What this module needs of a host; `harness.worlds.base.WorldHost` has it."""

    @property
    def name(self) -> str: ...

    @property
    def address(self) -> str: ...

    @property
    def etc(self) -> Path: ...

    def inside(self) -> AbstractContextManager[None]: ...


class NameServerHost(Protocol):
    """Where the name server is; a host without an `etc` of its own will do."""

    @property
    def address(self) -> str: ...

    def inside(self) -> AbstractContextManager[None]: ...


Host = TypeVar("Host", bound=NamedHost)


def distinct(hosts: Iterable[Host]) -> list[Host]:
    """Each host once: several ranks may live on one."""
    return list({host.name: host for host in hosts}.values())


def hosts_of(host: NamedHost) -> Path:
    """The file that lies over /etc/hosts in every process of a host."""
    return host.etc / "hosts"


@contextlib.contextmanager
def served(
    server_host: NameServerHost, hosts: Sequence[NamedHost], by: str, names: Sequence[str] | None = None, **what: Any
) -> Iterator[Callable[[], dict[str, Any]]]:
    """Meanwhile these names (default: all) are not in the hosts files of these hosts, which ask the server instead.

    It answers as `what` says (fields of a Rule). Yields the count so far; raises HarnessError if port 53 is taken.
    """
    rule = Rule(by, str(hosts_of(hosts[0])), [host.name for host in hosts], **what)
    server = _Server.at(server_host)
    try:
        server.rule(rule)
        with _asking(hosts, by, names, server_host.address):
            yield lambda: server.count(by)
    finally:
        server.unrule(by)


def unserved(hosts: Sequence[NamedHost], by: str) -> AbstractContextManager[None]:
    """Meanwhile no name is in the hosts files of these hosts, and they ask where nobody listens.

    That is on their own loopback: only there the kernel says each time that nobody listens. From elsewhere it says so
    once a second, and whoever is told nothing waits for five.
    """
    return _asking(hosts, by, None, LOOPBACK)


@contextlib.contextmanager
def _asking(hosts: Sequence[NamedHost], by: str, names: Sequence[str] | None, server: str) -> Iterator[None]:
    with contextlib.ExitStack() as back:
        for host in hosts:
            back.callback(resolv_conf.point_back, host.etc / "resolv.conf", by)
            resolv_conf.point(host.etc / "resolv.conf", by, server)
        for host in hosts:
            back.callback(hosts_file.show, hosts_of(host), by)
            hosts_file.hide(hosts_of(host), by, names)
        yield


def free_address(path: Path, near: str) -> str:
    """An address beside `near` that nobody has in this hosts file; raises HarnessError if there is none."""
    used = {entry.address for entry in hosts_file.entries(path)}
    own = ipaddress.ip_address(near)
    for length in _BLOCKS[own.version]:
        block = ipaddress.ip_network(f"{near}/{length}", strict=False)
        # The first ones are a gateway's, the last is everybody's.
        for number in range(min(block.num_addresses, 4096) - 2, 2, -1):
            if str(block[number]) not in used:
                return str(block[number])
    raise HarnessError(f"no address beside {near} is free; make the world smaller")


# -- the server's process ------------------------------------------------------------------------------------------


class _Server:
    """The name server's process, started with the first rule and ended with the last."""

    def __init__(self, place: tuple[int, str]) -> None:
        self._place = place
        self._rules: dict[str, Rule] = {}
        self._log = os.memfd_create("name-server")
        with _sockets(place[1]) as (udp, tcp):
            self._process = _start(udp, tcp, self._log)
        self._pidfd = os.pidfd_open(self._process.pid)

    @classmethod
    def at(cls, host: NameServerHost) -> _Server:
        """The one on this host, started if there is none."""
        place = _place(host)
        if place not in _SERVERS:
            with host.inside():
                _SERVERS[place] = cls(place)
        return _SERVERS[place]

    def rule(self, rule: Rule) -> None:
        self._rules[rule.name] = rule
        self._tell_rules()

    def unrule(self, name: str) -> None:
        """Take a rule away, and end the server with the last one."""
        self._rules.pop(name, None)
        if self._rules:
            self._tell_rules()
        else:
            self._end()

    def count(self, name: str) -> dict[str, Any]:
        return self._ask({"count": name})

    def _tell_rules(self) -> None:
        self._ask({"rules": [rule.to_json() for rule in self._rules.values()]})

    def _ask(self, order: Mapping[str, Any]) -> dict[str, Any]:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        try:
            os.write(self._process.stdin.fileno(), json.dumps(order).encode() + b"\n")
        except BrokenPipeError:
            raise HarnessError(f"the name server ended; it said: {self._said()}") from None
        answer = _line(self._process.stdout.fileno())
        if not answer:
            raise HarnessError(f"the name server did not answer; it said: {self._said()}")
        told: dict[str, Any] = json.loads(answer)
        return told

    def _said(self) -> str:
        return os.pread(self._log, 2000, max(0, os.fstat(self._log).st_size - 2000)).decode().strip() or "nothing"

    def _end(self) -> None:
        """Close its input, and wait until it has ended."""
        _SERVERS.pop(self._place, None)
        for pipe in (self._process.stdin, self._process.stdout):
            assert pipe is not None
            pipe.close()
        poll = select.poll()
        poll.register(self._pidfd, select.POLLIN)
        if not poll.poll(ANSWERS_WITHIN_NS / 1e6):
            signal.pidfd_send_signal(self._pidfd, signal.SIGKILL)
            poll.poll(ANSWERS_WITHIN_NS / 1e6)
        # Where there is a reaper of all children it may be faster; by the descriptor no other process can be meant.
        with contextlib.suppress(ChildProcessError):
            os.waitid(os.P_PIDFD, self._pidfd, os.WEXITED | os.WNOHANG)
        os.close(self._pidfd)
        os.close(self._log)


_SERVERS: dict[tuple[int, str], _Server] = {}


def _place(host: NameServerHost) -> tuple[int, str]:
    """Which network, and which address in it."""
    with host.inside():
        return os.stat("/proc/thread-self/ns/net").st_ino, host.address


@contextlib.contextmanager
def _sockets(address: str) -> Iterator[tuple[socket.socket, socket.socket]]:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as udp, socket.socket(family, socket.SOCK_STREAM) as tcp:
        tcp.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            udp.bind((address, PORT))
            tcp.bind((address, PORT))
            tcp.listen()
        except OSError as error:
            raise HarnessError(
                f"a name server cannot listen on {address} port {PORT} ({error.strerror}); end what listens there"
            ) from error
        yield udp, tcp


def _start(udp: socket.socket, tcp: socket.socket, log: int) -> subprocess.Popen[bytes]:
    arguments = {"udp": udp.fileno(), "tcp": tcp.fileno()}
    process = subprocess.Popen(
        [sys.executable, "-m", "harness.machine.names.name_server", json.dumps(arguments)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=log,
        pass_fds=tuple(arguments.values()),
        bufsize=0,
    )
    # With a return code set, Popen never waits: the statuses of a controller's children are one reaper's to take.
    process.returncode = 0
    return process


def _line(fd: int) -> bytes:
    """The next line, or nothing if none comes in time."""
    deadline_ns = clock.now_ns() + ANSWERS_WITHIN_NS
    poll = select.poll()
    poll.register(fd, select.POLLIN)
    data = b""
    while not data.endswith(b"\n"):
        if not poll.poll(max(0, deadline_ns - clock.now_ns()) / 1e6):
            return b""
        piece = os.read(fd, 1 << 16)
        if not piece:
            return b""
        data += piece
    return data
