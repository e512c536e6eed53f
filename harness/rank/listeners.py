"""The listening sockets of this process, read from /proc: what proves that handlers share one server."""

from __future__ import annotations

import os
import socket
import struct
from contextlib import suppress
from typing import Any, Dict, Iterator, List, Set

_LISTEN = "0A"


def listening_sockets() -> List[Dict[str, Any]]:
    """Address, port and inode of each TCP socket on which this process listens, in the order of their inodes."""
    inodes = _socket_inodes()
    found = [
        row for table in ("tcp", "tcp6") for row in _listeners(f"/proc/self/net/{table}") if row["inode"] in inodes
    ]
    return sorted(found, key=lambda row: row["inode"])


def _socket_inodes() -> Set[int]:
    inodes = set()
    for fd in os.listdir("/proc/self/fd"):
        with suppress(OSError):
            target = os.readlink(f"/proc/self/fd/{fd}")
            if target.startswith("socket:["):
                inodes.add(int(target[8:-1]))
    return inodes


def _listeners(path: str) -> Iterator[Dict[str, Any]]:
    with suppress(FileNotFoundError), open(path) as table:
        next(table, None)
        for line in table:
            fields = line.split()
            if fields[3] == _LISTEN:
                address, port = fields[1].split(":")
                yield {"address": _address(address), "port": int(port, 16), "inode": int(fields[9])}


def _address(digits: str) -> str:
    """The kernel prints an address as native-endian words of 32 bits."""
    words = [int(digits[start : start + 8], 16) for start in range(0, len(digits), 8)]
    family = socket.AF_INET if len(words) == 1 else socket.AF_INET6
    return socket.inet_ntop(family, struct.pack(f"={len(words)}I", *words))
