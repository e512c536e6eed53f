"""A peer of the proxy on one connection: a socket on the loop, closed in one place only."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Callable

_RESET = struct.pack("ii", 1, 0)
KEEPALIVE_SECONDS = 15
"""As Go's default, which the real server leaves."""


class Peer:
    """The client's or the server's socket of a connection.

    Closing removes the socket from the loop first: the number of a closed descriptor is soon used again.

    Attributes:
        name: `client` or `server`.
    """

    def __init__(self, name: str, sock: socket.socket, loop: asyncio.AbstractEventLoop) -> None:
        sock.setblocking(False)
        self.name = name
        self.sock = sock
        self.closed = False
        self._loop = loop
        self._reads = self._writes = False

    def tune(self) -> None:
        """The options that the real server sets on both sides."""
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, KEEPALIVE_SECONDS)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, KEEPALIVE_SECONDS)

    def watch_reads(self, wanted: bool, callback: Callable[[], None]) -> None:
        """Call back, or no longer, whenever there is something to read."""
        if wanted != self._reads and not self.closed:
            self._reads = wanted
            if wanted:
                self._loop.add_reader(self.sock, callback)
            else:
                self._loop.remove_reader(self.sock)

    def watch_writes(self, wanted: bool, callback: Callable[[], None]) -> None:
        """Call back, or no longer, whenever something can be written."""
        if wanted != self._writes and not self.closed:
            self._writes = wanted
            if wanted:
                self._loop.add_writer(self.sock, callback)
            else:
                self._loop.remove_writer(self.sock)

    def close(self, reset: bool = False) -> bool:
        """Close the socket; False if it was closed before.

        Args:
            reset: send RST; else the kernel sends FIN if all bytes of the peer have been read, otherwise RST.
        """
        if self.closed:
            return False
        self.watch_reads(False, _nothing)
        self.watch_writes(False, _nothing)
        self.closed = True
        if reset:
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        self.sock.close()
        return True

    def finish_writing(self) -> None:
        """Send FIN and go on reading."""
        try:
            self.sock.shutdown(socket.SHUT_WR)
        except OSError:
            self.close()


def _nothing() -> None:
    pass
