"""The listening sockets of this process: the evidence that handlers share one server."""

from __future__ import annotations

import os
import socket
import stat
from contextlib import suppress
from typing import Any, Dict, FrozenSet, Iterator, List, Optional, Tuple

_FAMILIES = (socket.AF_INET, socket.AF_INET6)


def listening_sockets() -> List[Dict[str, Any]]:
    """Address, port and inode of each TCP socket on which this process listens, in the order of their inodes.

    The kernel's table of all sockets has the same facts, but reading it takes milliseconds, in the middle of a join.
    """
    found: Dict[int, Dict[str, Any]] = {}
    for fd, inode in own_sockets():
        with suppress(OSError):
            _add_listener(fd, inode, found)
    return [found[inode] for inode in sorted(found)]


def own_sockets() -> Iterator[Tuple[int, int]]:
    """Descriptor and inode of each socket of this process, of any family; each may be closed by the time it is used."""
    for name in os.listdir("/proc/self/fd"):
        # A descriptor may be closed meanwhile, like the one of this listing.
        with suppress(OSError):
            status = os.fstat(int(name))
            if stat.S_ISSOCK(status.st_mode):
                yield int(name), status.st_ino


def listeners_since(before: Optional[FrozenSet[int]]) -> Dict[str, Any]:
    """The listening sockets now, and the inodes of those that were not there before; what is unknown is left out."""
    try:
        rows = listening_sockets()
    except OSError:
        return {}
    opened = {} if before is None else {"opened": [row["inode"] for row in rows if row["inode"] not in before]}
    return {"listeners": rows, **opened}


def inodes_now() -> Optional[FrozenSet[int]]:
    """The inodes of the listening sockets; None in a process that may open no more descriptors, not even to look."""
    try:
        return frozenset(row["inode"] for row in listening_sockets())
    except OSError:
        return None


def _add_listener(fd: int, inode: int, found: Dict[int, Dict[str, Any]]) -> None:
    with socket.socket(fileno=os.dup(fd)) as copy:
        if copy.family in _FAMILIES and copy.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
            address, port = copy.getsockname()[:2]
            found[inode] = {"address": address, "port": port, "inode": inode}
