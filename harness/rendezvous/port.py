"""The master's port: whether it is free, and letting go of it although somebody still holds the store."""

from __future__ import annotations

import errno
import os
import socket
from contextlib import suppress

from harness.rendezvous.descriptors import Descriptor, accepted, listening
from harness.rendezvous.failures import Held, Silent, Unreachable
from harness.rendezvous.resolve import Address, resolve

_ANYWHERE: Address = (socket.AF_INET6, "::")
_ANYWHERE_IPV4: Address = (socket.AF_INET, "0.0.0.0")


def check_free(port: int, host: str, deadline: float) -> None:
    """Raise Held if torch's server could not listen on the port; one of this process that does is no hindrance.

    Refused on every address torch listens on IPv4 alone and says nothing (F36): who is told a host of IPv6 alone would
    not find it. The host is looked up for that only, until the deadline; one that cannot be is taken for IPv4.

    Torch itself forgives a refusal when the environment speaks of an agent's store, whoever listens there (F28), and
    its error has had several classes (F31).
    """
    if listening(port):
        return
    try:
        _listener(*_ANYWHERE, port).close()
    except OSError as refusal:
        try:
            _listener(*_ANYWHERE_IPV4, port).close()
        except OSError as error:
            raise Held((error.strerror or str(error)).lower()) from error
        if refusal.errno == errno.EADDRINUSE and _is_of_ipv6_alone(host, deadline):
            raise Held((refusal.strerror or str(refusal)).lower()) from refusal


def _is_of_ipv6_alone(host: str, deadline: float) -> bool:
    with suppress(Unreachable, Silent):
        return all(family == socket.AF_INET6 for family, _ in resolve(host, deadline))
    return False


def _listener(family: int, host: str, port: int) -> socket.socket:
    sock = socket.socket(socket.AddressFamily(family), socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
    try:
        # As torch does it: connections in TIME_WAIT do not count, listeners do.
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
    """Where the master meets its own server: not by the endpoint's name or address, which may change or not be its."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe, suppress(OSError):
        probe.bind(("127.0.0.1", 0))
        return socket.AF_INET, "127.0.0.1"
    return socket.AF_INET6, "::1"


def release(port: int) -> None:
    """Close this process's listening sockets of the port, and cut every connection that was accepted on it.

    The server's thread stays until its last store is gone; it has nothing to do any more.
    """
    for one in listening(port):
        _replace(one)
    for one in accepted(port):
        one.cut()


def _replace(one: Descriptor) -> None:
    """Put a socket that does nothing in its place: its owner may close the number later, and closes nothing else.

    Shutting a listening socket down would leave the port bound.
    """
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as nothing, suppress(OSError):
        os.dup2(nothing.fileno(), one.number, inheritable=False)
