"""What this process holds now: its descriptors by kind, and its threads."""

from __future__ import annotations

import os
import socket
from collections import Counter
from contextlib import suppress
from typing import Dict, List, Set, Tuple

LISTENING, ACCEPTED, CONNECTED, SOCKETS = "listening sockets", "accepted sockets", "connected sockets", "other sockets"
PIPES, EVENTS, FILES, THREADS = "pipes", "event descriptors", "files", "threads"
KINDS = (LISTENING, ACCEPTED, CONNECTED, SOCKETS, PIPES, EVENTS, FILES, THREADS)

_FAMILIES = (socket.AF_INET, socket.AF_INET6)


def holdings() -> Dict[str, int]:
    """How many of each of `KINDS`; what the process has none of is left out.

    Empty where it cannot be counted, as in a process that may open no more descriptors.

    A socket counts as accepted while this process also listens on its port: how many there are depends on the clients.
    """
    try:
        names, threads = os.listdir("/proc/self/fd"), len(os.listdir("/proc/self/task"))
    except OSError:
        return {}
    counts: Counter[str] = Counter()
    listening: Set[int] = set()
    connected: List[int] = []
    for name in names:
        # A descriptor may be closed meanwhile, like the one of this listing.
        with suppress(OSError):
            kind, port = _kind(int(name), os.readlink(f"/proc/self/fd/{name}"))
            if kind == CONNECTED:
                connected.append(port)
                continue
            counts[kind] += 1
            if kind == LISTENING:
                listening.add(port)
    counts[ACCEPTED] = sum(port in listening for port in connected)
    counts[CONNECTED] = len(connected) - counts[ACCEPTED]
    counts[THREADS] = threads
    return {kind: counts[kind] for kind in KINDS if counts[kind]}


def _kind(fd: int, target: str) -> Tuple[str, int]:
    """The kind, and the local port of a TCP socket."""
    if target.startswith("socket:"):
        return _kind_of_socket(fd)
    if target.startswith("pipe:"):
        return PIPES, 0
    return (EVENTS if target.startswith("anon_inode:") else FILES), 0


def _kind_of_socket(fd: int) -> Tuple[str, int]:
    with socket.socket(fileno=os.dup(fd)) as copy:
        if copy.family not in _FAMILIES or copy.type != socket.SOCK_STREAM:
            return SOCKETS, 0
        is_listening = copy.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)
        return (LISTENING if is_listening else CONNECTED), int(copy.getsockname()[1])
