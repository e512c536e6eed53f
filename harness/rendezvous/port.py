"""Letting go of a server's port although somebody still holds its store."""

from __future__ import annotations

import os
import socket
from contextlib import suppress

from harness.rendezvous.descriptors import Descriptor, accepted, listening


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
