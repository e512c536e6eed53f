"""The master's port: whether it is free, and how to release it although somebody still holds the store."""

from __future__ import annotations

import errno
import os
import socket
from contextlib import suppress
from typing import Set

from .descriptors import Descriptor, accepted, listening
from .failures import PortTaken, TimedOut, Unreachable
from .resolve import Address, resolve

_ANYWHERE: Address = (socket.AF_INET6, "::")
_ANYWHERE_IPV4: Address = (socket.AF_INET, "0.0.0.0")

_released: Set[int] = set()


def check_free(port: int, host: str, deadline: float) -> None:
    """Raise PortTaken if torch's server could not listen on the port; a server of this process may be there already.

    If torch cannot listen on all addresses, it listens on IPv4 only and does not report that (F36): clients of a host
    with IPv6 addresses only would not reach it. The host is looked up only for that, until the deadline; one that does
    not resolve is taken for IPv4.

    Torch itself ignores the error when the environment names an agent's store, whatever process listens there (F28),
    and its error has had several classes (F31).
    """
    if listening(port):
        return
    try:
        _listener(*_ANYWHERE, port).close()
    except OSError as refusal:
        try:
            _listener(*_ANYWHERE_IPV4, port).close()
        except OSError as error:
            raise PortTaken((error.strerror or str(error)).lower()) from error
        if refusal.errno == errno.EADDRINUSE and _is_ipv6_only(host, deadline):
            raise PortTaken((refusal.strerror or str(refusal)).lower()) from refusal


def _is_ipv6_only(host: str, deadline: float) -> bool:
    with suppress(Unreachable, TimedOut):
        return all(family == socket.AF_INET6 for family, _ in resolve(host, deadline))
    return False


def _listener(family: int, host: str, port: int) -> socket.socket:
    sock = socket.socket(socket.AddressFamily(family), socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
    try:
        # As torch does: connections in TIME_WAIT do not prevent it, listeners do.
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        sock.bind((host, port))
        sock.listen(1)
    except BaseException:
        sock.close()
        raise
    return sock


def own_address() -> Address:
    """The address by which the master connects to its own server.

    It is a loopback address, because the endpoint's name or address may change, or may not belong to this host.
    """
    try:
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
            probe.bind(("127.0.0.1", 0))
    except OSError as error:
        if error.errno in (errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL):
            return socket.AF_INET6, "::1"
    return socket.AF_INET, "127.0.0.1"


def release(port: int) -> bool:
    """Close this process's listening sockets on the port, and cut every connection that was accepted there.

    The server's thread stays until its last store is gone, without work. False if the two descriptors that this takes
    are not left: the port is bound still.
    """
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as unused:
            socket.socket(socket.AF_UNIX, socket.SOCK_STREAM).close()  # `listening` takes one more
            _released.add(port)
            for one in listening(port):
                _replace(one, unused)
    except OSError:
        return False
    for one in accepted(port):
        one.cut()
    return True


def was_released(port: int) -> bool:
    """Whether this process has released the port: torch may still know a server there, which nobody can reach."""
    return port in _released


def _replace(one: Descriptor, unused: socket.socket) -> None:
    """Replace the descriptor by an unused socket, so that its owner may close the number later without harm.

    To shut a listening socket down would leave the port bound.
    """
    os.dup2(unused.fileno(), one.number, inheritable=False)
