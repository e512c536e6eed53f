"""How the hosts of a world find each other by name, and how faults take control of that.

Normally a host's hosts file has every name and no name server is needed. A fault hides names in the file, so that the C
library asks a name server, and points it to the server here, on the proxy's host, or to an address where nothing
listens. All faults of a world share one server, each with a rule of its own, because there is only one port 53.
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
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Protocol

from harness import clock
from harness.machine.names import hosts_file, resolv_conf
from harness.machine.names.name_server import PORT, Rule
from harness.machine.process import stalls
from harness.values.errors import HarnessError, HelperLost

ANSWERS_WITHIN_NS = 10_000_000_000
"""The server is ready after 50 ms and answers within 1 ms; only a machine that stands still takes longer."""

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
    """The host that the name server runs on; it needs no `etc` of its own."""

    @property
    def address(self) -> str: ...

    def inside(self) -> AbstractContextManager[None]: ...


def hosts_of(host: NamedHost) -> Path:
    """The file that is mounted over /etc/hosts in every process of a host."""
    return host.etc / "hosts"


@contextlib.contextmanager
def served(
    server_host: NameServerHost, hosts: Sequence[NamedHost], by: str, names: Sequence[str] | None = None, **what: Any
) -> Iterator[Callable[[], dict[str, Any]]]:
    """Have these hosts ask the name server for these names (default: all), which are hidden in their hosts files.

    The server answers as `what` says (fields of a Rule). Yields a function that returns the rule's count so far; raises
    HarnessError if port 53 is taken.
    """
    rule = Rule(by, str(hosts_of(hosts[0])), [host.name for host in hosts], **what)
    server = _Server.at(server_host)
    try:
        server.add_rule(rule)
        with _asking(hosts, by, names, server_host.address):
            yield lambda: server.count(by)
    finally:
        server.remove_rule(by)


def unserved(hosts: Sequence[NamedHost], by: str) -> AbstractContextManager[None]:
    """Have these hosts ask a name server that does not exist, with every name hidden in their hosts files.

    They ask their own loopback: only there the kernel refuses every query. Another host's kernel refuses one in a
    second, and without a refusal a look-up waits for 5 s.
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
    """An address near `near` that is not in this hosts file; raises HarnessError if there is none."""
    used = {entry.address for entry in hosts_file.entries(path)}
    own = ipaddress.ip_address(near)
    for length in _BLOCKS[own.version]:
        block = ipaddress.ip_network(f"{near}/{length}", strict=False)
        # The first addresses may be a gateway's, the last is the broadcast address.
        for number in range(min(block.num_addresses, 4096) - 2, 2, -1):
            if str(block[number]) not in used:
                return str(block[number])
    raise HarnessError(f"no address near {near} is free; make the world smaller")


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
        stalls.watch(self._process.pid, f"the name server on {place[1]}")

    @classmethod
    def at(cls, host: NameServerHost) -> _Server:
        """The one on this host, started if there is none."""
        place = _place(host)
        if place not in _SERVERS:
            with host.inside():
                _SERVERS[place] = cls(place)
        return _SERVERS[place]

    def add_rule(self, rule: Rule) -> None:
        self._rules[rule.name] = rule
        self._send_rules()

    def remove_rule(self, name: str) -> None:
        """Remove a rule, and end the server with the last one."""
        self._rules.pop(name, None)
        if self._rules:
            self._send_rules()
        else:
            self._end()

    def count(self, name: str) -> dict[str, Any]:
        return self._ask({"count": name})

    def _send_rules(self) -> None:
        self._ask({"rules": [rule.to_json() for rule in self._rules.values()]})

    def _ask(self, order: Mapping[str, Any]) -> dict[str, Any]:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        try:
            os.write(self._process.stdin.fileno(), json.dumps(order).encode() + b"\n")
        except BrokenPipeError:
            raise self._lost() from None
        line = _line(self._process.stdout.fileno())
        if not line:
            # The pipe of one that was killed is closed a moment before its end shows.
            raise self._lost("ended on its own" if self._has_ended(0) else "did not answer")
        answer: dict[str, Any] = json.loads(line)
        return answer

    def _log_tail(self) -> str:
        return os.pread(self._log, 2000, max(0, os.fstat(self._log).st_size - 2000)).decode().strip() or "nothing"

    def _lost(self, what: str = "ended on its own") -> HelperLost:
        return HelperLost(f"the name server {what}; run it again; its log: {self._log_tail()}")

    def _has_ended(self, within_ms: float) -> bool:
        poll = select.poll()
        poll.register(self._pidfd, select.POLLIN)
        return bool(poll.poll(within_ms))

    def _end(self) -> None:
        """Close its input, and wait until it has ended; raises HelperLost if it had ended before."""
        _SERVERS.pop(self._place, None)
        lost = self._lost() if self._has_ended(0) else None
        for pipe in (self._process.stdin, self._process.stdout):
            assert pipe is not None
            pipe.close()
        if not self._has_ended(ANSWERS_WITHIN_NS / 1e6):
            signal.pidfd_send_signal(self._pidfd, signal.SIGKILL)
            self._has_ended(ANSWERS_WITHIN_NS / 1e6)
        # A reaper of all children may have collected it already; the pidfd never refers to another process.
        with contextlib.suppress(ChildProcessError):
            os.waitid(os.P_PIDFD, self._pidfd, os.WEXITED | os.WNOHANG)
        os.close(self._pidfd)
        os.close(self._log)
        stalls.forget(self._process.pid)
        if lost is not None:
            raise lost


_SERVERS: dict[tuple[int, str], _Server] = {}


def _place(host: NameServerHost) -> tuple[int, str]:
    """Identifies a server: the network, and the address in it."""
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
    # With a return code set, Popen never waits: a controller's one reaper collects the statuses of all children.
    process.returncode = 0
    return process


def _line(fd: int) -> bytes:
    """The next line; empty if none comes in time."""
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
