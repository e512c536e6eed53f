"""Listening sockets of this process, and the proof that they listen."""

from __future__ import annotations

import contextlib
import os
import socket
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

LISTEN_STATE = 10
BACKLOG = 4096  # as many as the system allows by default: who connects to a silent listener must not be refused

_TABLES = ("/proc/thread-self/net/tcp", "/proc/thread-self/net/tcp6")


_SO_MEMINFO = 55  # since Linux 4.12; Python has no name for it
_DROPS = struct.Struct("=32xI")  # the last of the nine numbers in linux/sock_diag.h


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
    """A listening socket on a numeric address, non-blocking, proved to listen, and closed at the end.

    `::` takes the port for IPv4 too. Raises OSError if the port is taken or the address is not this machine's.
    """
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as listener:
        # A port is held by whoever listens on it, with this option or without; it only lets us pass by the remains
        # of closed connections (time-wait), as a store does.
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, int(address != "::"))
        listener.bind((address, port))
        listener.listen(BACKLOG)
        listener.setblocking(False)
        if not is_listening(inode_of(listener)):
            raise OSError(f"the socket on {address} port {port} does not listen, although the system said so")
        yield listener


def inode_of(socket_: socket.socket) -> int:
    """The number that the system's tables know a socket by."""
    return os.fstat(socket_.fileno()).st_ino


def is_listening(inode: int) -> bool:
    """Whether the system's tables show this socket as listening."""
    return any(entry.inode == inode and entry.state == LISTEN_STATE for entry in tcp_entries())


def accept_all(listener: socket.socket) -> list[socket.socket]:
    """Every connection that waits on a non-blocking listener, those that were closed meanwhile among them."""
    accepted: list[socket.socket] = []
    while True:
        try:
            accepted.append(listener.accept()[0])
        except BlockingIOError:
            return accepted
        except ConnectionAbortedError:
            continue


def tcp_entries() -> Iterator[TcpEntry]:
    """All TCP sockets of this network namespace, the remains of closed connections among them."""
    for table in _TABLES:
        with contextlib.suppress(FileNotFoundError):  # a kernel without IPv6
            for line in Path(table).read_text().splitlines()[1:]:
                fields = line.split()
                yield TcpEntry(_address(fields[1]), _address(fields[2]), int(fields[3], 16), int(fields[9]))


Pair = frozenset[tuple[str, int]]
"""A connection, by its two ends."""


def connections_of_port(port: int) -> dict[Pair, frozenset[int]]:
    """The connections to or from a port that are open or have left a trace, each with the inodes of its open ends."""
    found: dict[Pair, set[int]] = {}
    for entry in tcp_entries():
        if entry.state != LISTEN_STATE and port in (entry.local[1], entry.remote[1]):
            found.setdefault(frozenset((entry.local, entry.remote)), set()).update({entry.inode} - {0})
    return {pair: frozenset(inodes) for pair, inodes in found.items()}


def new_connections(before: Mapping[Pair, frozenset[int]], now: Mapping[Pair, frozenset[int]]) -> int:
    """How many connections there are that were not there before.

    On loopback the kernel gives a pair of ends that is still in TIME_WAIT to a new connection: its open ends tell.
    """
    return sum(1 for pair, inodes in now.items() if pair not in before or inodes - before[pair])


def _address(text: str) -> tuple[str, int]:
    host, port = text.split(":")
    return (_unmapped(host), int(port, 16))


def _unmapped(host: str) -> str:
    """An IPv4 address within IPv6 as the IPv4 address it is: the two ends of a connection write it differently."""
    return host[24:] if host.startswith("0000000000000000FFFF0000") else host


def dropped(listener: socket.socket) -> int | None:
    """How often the kernel dropped a try to connect here because too many waited; None where it does not count.

    Every SYN counts, those that a kernel sends again too. Measured on Linux 6.18: the count has grown when `connect`
    returns.
    """
    try:
        told = listener.getsockopt(socket.SOL_SOCKET, _SO_MEMINFO, _DROPS.size)
    except OSError:
        return None
    return int(_DROPS.unpack(told)[0]) if len(told) == _DROPS.size else None


def counts_dropped() -> bool:
    """Whether this kernel tells what `dropped` asks for."""
    with socket.socket() as any_socket:
        return dropped(any_socket) is not None
