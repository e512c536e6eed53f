"""Listening sockets of this process, the proof that they listen, and the connections of a port."""

from __future__ import annotations

import contextlib
import os
import socket
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

LISTEN_STATE = 10
BACKLOG = 4096  # the system's default limit: a connect to a silent listener must not be refused

_TABLES = ("/proc/thread-self/net/tcp", "/proc/thread-self/net/tcp6")

_SO_MEMINFO = 55  # since Linux 4.12; Python has no name for it
_DROPS = struct.Struct("=32xI")  # the last of nine numbers, see linux/sock_diag.h


@dataclass(frozen=True)
class TcpEntry:
    """One line of the system's table of TCP sockets.

    Attributes:
        state: the kernel's number: 1 established, 6 time-wait, 10 listening.
        inode: 0 where no process holds the socket any more.
        local, remote: address as the kernel writes it, and port.
    """

    local: tuple[str, int]
    remote: tuple[str, int]
    state: int
    inode: int


@contextlib.contextmanager
def listen(address: str, port: int) -> Iterator[socket.socket]:
    """A non-blocking listening socket on a numeric address, proved to listen, and closed at the end.

    `::` takes the port for IPv4 too. Raises OSError if the port is taken or the address is not one of this machine.
    """
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as listener:
        # With this option, which a store sets too, TIME_WAIT does not hold the port; a listener still does.
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, int(address != "::"))
        listener.bind((address, port))
        listener.listen(BACKLOG)
        listener.setblocking(False)
        if not is_listening(inode_of(listener)):
            raise OSError(f"the socket on {address} port {port} does not listen, although listen() succeeded")
        yield listener


def inode_of(socket_: socket.socket) -> int:
    """The number of a socket in the system's tables."""
    return os.fstat(socket_.fileno()).st_ino


def is_listening(inode: int) -> bool:
    """Whether the system's tables show this socket as listening."""
    return any(entry.inode == inode and entry.state == LISTEN_STATE for entry in tcp_entries())


def holds(listener: socket.socket, port: int) -> bool:
    """Whether a socket listens on this very port, as the system's tables show it."""
    inode = inode_of(listener)
    return any(one.inode == inode and one.state == LISTEN_STATE and one.local[1] == port for one in tcp_entries())


def accept_all(listener: socket.socket) -> list[socket.socket]:
    """Every connection that waits on a non-blocking listener, including those closed meanwhile."""
    accepted: list[socket.socket] = []
    while True:
        try:
            accepted.append(listener.accept()[0])
        except BlockingIOError:
            return accepted
        except ConnectionAbortedError:
            continue


def tcp_entries() -> Iterator[TcpEntry]:
    """All TCP sockets of this network namespace, including those in TIME_WAIT."""
    for table in _TABLES:
        with contextlib.suppress(FileNotFoundError):  # a kernel without IPv6
            for line in Path(table).read_text().splitlines()[1:]:
                fields = line.split()
                yield TcpEntry(_address(fields[1]), _address(fields[2]), int(fields[3], 16), int(fields[9]))


Pair = frozenset[tuple[str, int]]
"""A connection, by its two ends."""


def connections_of_port(port: int) -> dict[Pair, frozenset[int]]:
    """The connections to or from a port that are open or in TIME_WAIT, each with the inodes of its open ends."""
    found: dict[Pair, set[int]] = {}
    for entry in tcp_entries():
        if entry.state != LISTEN_STATE and port in (entry.local[1], entry.remote[1]):
            found.setdefault(frozenset((entry.local, entry.remote)), set()).update({entry.inode} - {0})
    return {pair: frozenset(inodes) for pair, inodes in found.items()}


def new_connections(before: Mapping[Pair, frozenset[int]], now: Mapping[Pair, frozenset[int]]) -> int:
    """How many connections are new.

    On loopback the kernel may reuse a pair of ends that is still in TIME_WAIT: then the inodes of its ends are new.
    """
    return sum(1 for pair, inodes in now.items() if pair not in before or inodes - before[pair])


def _address(text: str) -> tuple[str, int]:
    host, port = text.split(":")
    return (_unmapped(host), int(port, 16))


def _unmapped(host: str) -> str:
    """An IPv4-mapped IPv6 address as IPv4: the two ends of a connection may show it differently."""
    return host[24:] if host.startswith("0000000000000000FFFF0000") else host


def dropped(listener: socket.socket) -> int | None:
    """How many SYNs the kernel dropped because too many connections waited; None where it does not count them.

    Retransmitted SYNs count too. Measured on Linux 6.18: the count has grown when `connect` returns.
    """
    try:
        numbers = listener.getsockopt(socket.SOL_SOCKET, _SO_MEMINFO, _DROPS.size)
    except OSError:
        return None
    return int(_DROPS.unpack(numbers)[0]) if len(numbers) == _DROPS.size else None


def counts_dropped() -> bool:
    """Whether this kernel counts what `dropped` returns."""
    with socket.socket() as any_socket:
        return dropped(any_socket) is not None
