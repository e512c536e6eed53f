"""The sockets of this process: which ones are new, where they are connected, and how to cut one."""

from __future__ import annotations

import _socket
import errno
import os
import resource
import stat
import sys
from contextlib import closing, suppress
from dataclasses import dataclass
from typing import Dict, Iterable, List, Optional, Set

join_sockets: Set[int] = set()
"""Inodes of the sockets over which the joins of this process talk: never a store's."""

TOO_MANY_OPEN = os.strerror(errno.EMFILE).lower()

_FAMILIES = (_socket.AF_INET, _socket.AF_INET6)
_MOST_USUAL = 4096
_MAPPED = bytes(10) + b"\xff\xff"


@dataclass(frozen=True)
class Descriptor:
    """A socket of this process, by number and inode: the number alone may be reused at any time."""

    number: int
    inode: int

    def opened(self) -> Optional[_socket.socket]:
        """A duplicate, which the caller must close; None if the socket is gone.

        It is a plain `_socket.socket`, whose families and types are numbers, because each join opens several.
        """
        try:
            number = os.dup(self.number)
        except OSError:
            return None
        try:
            copy = _socket.socket(fileno=number)
        except OSError:
            # The number belongs to something else by now.
            os.close(number)
            return None
        if os.fstat(copy.fileno()).st_ino == self.inode:
            return copy
        copy.close()
        return None

    def cut(self) -> None:
        """Shut the connection down both ways: a call that blocks on it, in C++ too, returns at once."""
        copy = self.opened()
        if copy is not None:
            with closing(copy), suppress(OSError):
                copy.shutdown(_socket.SHUT_RDWR)

    def is_connected_to(self, host: str, port: int) -> bool:
        """Whether it is connected to this numeric host and port."""
        copy = self.opened()
        if copy is None:
            return False
        with closing(copy):
            if copy.family not in _FAMILIES or copy.type != _socket.SOCK_STREAM:
                return False
            try:
                peer = copy.getpeername()
            except OSError:
                return False
        return int(peer[1]) == port and _packed(str(peer[0])) == _packed(host)

    def written_bytes(self) -> int:
        """How many bytes were written to the connection, sent or not yet; -1 if the kernel does not know."""
        info = self._info()
        # tcpi_bytes_sent, since Linux 4.19, and tcpi_notsent_bytes; before that the structure is shorter.
        return _number(info, 200, 8) + _number(info, 144, 4) if len(info) >= 208 else -1

    def received_bytes(self) -> int:
        """How many bytes the connection has received; -1 if the kernel does not know."""
        info = self._info()
        return _number(info, 128, 8) if len(info) >= 136 else -1

    def _info(self) -> bytes:
        copy = self.opened()
        if copy is None:
            return b""
        with closing(copy):
            return copy.getsockopt(_socket.IPPROTO_TCP, _socket.TCP_INFO, 208)


def _number(info: bytes, offset: int, size: int) -> int:
    return int.from_bytes(info[offset : offset + size], sys.byteorder)


def sockets() -> Dict[int, int]:
    """Number and inode of each socket of this process, also if it can open no more descriptors."""
    found: Dict[int, int] = {}
    for number in _numbers():
        try:
            status = os.fstat(number)
        except OSError:
            # A descriptor may be closed meanwhile, like the one of this listing.
            continue
        if stat.S_ISSOCK(status.st_mode):
            found[number] = status.st_ino
    return found


def _numbers() -> Iterable[int]:
    """Those of all descriptors; where there is none left to list them with, all that may be one."""
    try:
        return [int(name) for name in os.listdir("/proc/self/fd")]
    except OSError:
        # The limit may have been lowered below numbers that are in use.
        return range(max(resource.getrlimit(resource.RLIMIT_NOFILE)[0], _MOST_USUAL))


def can_open(count: int) -> bool:
    """Whether this process could open so many descriptors just now; other threads may have opened some since."""
    held: List[int] = []
    try:
        # No socket, so that nobody takes one for the store's.
        held.append(os.open("/", os.O_RDONLY | os.O_CLOEXEC))
        while len(held) < count:
            held.append(os.dup(held[0]))
    except OSError:
        return False
    finally:
        for number in held:
            os.close(number)
    return True


def appeared(before: Dict[int, int]) -> List[Descriptor]:
    """Sockets that are new since `before` and not a join's own."""
    new = [(number, inode) for number, inode in sockets().items() if before.get(number) != inode]
    return [Descriptor(number, inode) for number, inode in new if inode not in join_sockets]


def connected_to(host: str, port: int, new: List[Descriptor]) -> List[Descriptor]:
    """The sockets that are connected to this numeric host and port, and are not a join's own.

    A join adds its socket to `join_sockets` after it has made it and before it connects, so the set is checked last.
    """
    return [one for one in new if one.is_connected_to(host, port) and one.inode not in join_sockets]


def listening(port: int) -> List[Descriptor]:
    """Sockets of this process that listen on the port."""
    return [one for one in _bound(port) if _listens(one)]


def accepted(port: int) -> List[Descriptor]:
    """Sockets of this process that were accepted on the port."""
    return [one for one in _bound(port) if not _listens(one)]


def _bound(port: int) -> List[Descriptor]:
    return [one for number, inode in sockets().items() if _local_port(one := Descriptor(number, inode)) == port]


def _local_port(one: Descriptor) -> int:
    copy = one.opened()
    if copy is None:
        return -1
    with closing(copy):
        return int(copy.getsockname()[1]) if copy.family in _FAMILIES else -1


def _listens(one: Descriptor) -> bool:
    copy = one.opened()
    if copy is None:
        return False
    with closing(copy):
        return bool(copy.getsockopt(_socket.SOL_SOCKET, _socket.SO_ACCEPTCONN))


def _packed(host: str) -> bytes:
    """A numeric address as bytes, without its scope; an IPv4-mapped IPv6 address as IPv4."""
    numeric = host.split("%")[0]
    if ":" not in numeric:
        return _socket.inet_pton(_socket.AF_INET, numeric)
    packed = _socket.inet_pton(_socket.AF_INET6, numeric)
    return packed[12:] if packed[:12] == _MAPPED else packed
