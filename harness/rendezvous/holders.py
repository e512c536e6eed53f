"""Which process holds a port, where the system shows it: for the message of a port conflict."""

from __future__ import annotations

import os
from contextlib import suppress
from typing import Iterator, Set

_LISTEN = "0A"


def holder(port: int) -> str:
    """The process that listens on the port, like `process 17 (python3)`; empty if the system does not show it."""
    inodes = set(_listening_inodes(port))
    for pid in _processes() if inodes else ():
        with suppress(OSError):
            if inodes & set(_inodes_of(pid)):
                return f"process {pid} ({_name_of(pid)})"
    return ""


def _listening_inodes(port: int) -> Iterator[str]:
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        with suppress(OSError), open(table) as lines:
            for line in lines.read().splitlines()[1:]:
                fields = line.split()
                if fields[3] == _LISTEN and int(fields[1].rsplit(":", 1)[1], 16) == port:
                    yield fields[9]


def _processes() -> Iterator[int]:
    for name in os.listdir("/proc"):
        if name.isdigit():
            yield int(name)


def _inodes_of(pid: int) -> Set[str]:
    found = set()
    for name in os.listdir(f"/proc/{pid}/fd"):
        with suppress(OSError):
            target = os.readlink(f"/proc/{pid}/fd/{name}")
            if target.startswith("socket:["):
                found.add(target[len("socket:[") : -1])
    return found


def _name_of(pid: int) -> str:
    with open(f"/proc/{pid}/comm") as stream:
        return stream.read().strip()
