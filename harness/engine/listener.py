"""The listening socket of a proxy, and what toxics do to clients before they are connections."""

from __future__ import annotations

import asyncio
import errno
import os
import select
import socket
import struct
from collections.abc import Callable, Sequence
from typing import Any

from harness.engine import descriptors
from harness.engine.addresses import Target
from harness.engine.toxics.base import ListenerBehaviour
from harness.machine.network.listening import dropped

BACKLOG = 4096
ACCEPTS_AT_ONCE = 64
ACCEPT_AGAIN_SECONDS = 0.05
"""How long clients wait in the kernel's queue when no descriptor is free."""

FILLERS = 3
"""A queue of length 0 holds one connection; the other fillers ensure that it is full."""

FILLED_WITHIN_SECONDS = 0.01
"""The first filler is connected at once, unless clients wait already."""

_ESTABLISHED = 1
_TRIES = struct.Struct("=B99xI")
"""Of struct tcp_info: the state, and the number of retransmissions."""


class Listener:
    """A listening socket, from `open` to `close`; meanwhile toxics may refuse clients or leave them unanswered.

    Args:
        admit: takes every accepted client, with its address.
        note: writes into the event log.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        admit: Callable[[socket.socket, Any], None],
        note: Callable[..., None],
    ) -> None:
        self._loop = loop
        self._admit = admit
        self._note = note
        self._socket: socket.socket | None = None
        self._target: Target | None = None
        self._accepting = False
        self._shut = False
        self._fillers: list[socket.socket] = []
        self._reported = 0
        self._lacks = False

    @property
    def is_open(self) -> bool:
        return self._target is not None

    def open(self, target: Target, toxics: Sequence[ListenerBehaviour]) -> Target:
        """Listen; returns the bound address. Raises OSError."""
        self._socket = _bound(target)
        self._socket.listen(BACKLOG)
        self._target = Target(target.family, self._socket.getsockname())
        self._accept(True)
        self.apply(toxics)
        return self._target

    def close(self) -> None:
        """Refuse all clients from now on."""
        self._release()
        self._accept(False)
        if self._socket is not None:
            self._socket.close()
        self._socket, self._target, self._shut = None, None, False

    def apply(self, toxics: Sequence[ListenerBehaviour]) -> None:
        """Apply these toxics. Raises OSError if the port was lost while nobody listened."""
        if self._target is None:
            return
        closes_listener, fills = any(one.closes_listener for one in toxics), any(one.fills_backlog for one in toxics)
        if closes_listener != self._shut:
            self._shut_or_not(closes_listener, self._target)
        if not closes_listener and fills and not self._fillers:
            self._fill(self._target)
        elif not fills and self._fillers:
            self._release()

    # -- shut and full -------------------------------------------------------------------------------------------------

    def _shut_or_not(self, shut: bool, target: Target) -> None:
        assert self._socket is not None
        if shut:
            # Bound but not listening: the port stays ours, and the kernel refuses clients.
            self._release()
            self._accept(False)
            self._socket.close()
            self._socket = _bound(target)
        else:
            self._socket.listen(BACKLOG)
            self._accept(True)
        self._shut = shut

    def _fill(self, target: Target) -> None:
        assert self._socket is not None
        self._accept(False)
        self._socket.listen(0)
        self._reported = dropped(self._socket) or 0
        for _ in range(FILLERS):
            filler = socket.socket(target.family, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
            filler.setblocking(False)
            filler.connect_ex(_reachable(target))
            if not self._fillers:
                # Two at once might both be half open; the kernel would drop one of them after we have counted.
                select.select([], [filler], [], FILLED_WITHIN_SECONDS)
            self._fillers.append(filler)

    def unanswered(self) -> int:
        """How many connection attempts of clients the full queue has dropped since the last call."""
        if self._socket is None or not self._fillers:
            return 0
        total, ours, before = dropped(self._socket), self._own_tries(), -1
        while total is not None and ours != before:
            before, total = ours, dropped(self._socket)
            ours = self._own_tries()
        new = 0 if total is None else total - ours - self._reported
        self._reported += new
        return new

    def _own_tries(self) -> int:
        """How many of the dropped attempts are those of our own fillers."""
        infos = (
            _TRIES.unpack(one.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _TRIES.size)) for one in self._fillers
        )
        return sum(1 + repeated for state, repeated in infos if state != _ESTABLISHED)

    def _release(self) -> None:
        if not self._fillers or self._socket is None:
            return
        ours = {filler.getsockname()[1] for filler in self._fillers}
        for filler in self._fillers:
            filler.close()
        self._fillers.clear()
        waiting = self._all_waiting()
        self._socket.listen(BACKLOG)
        self._accept(True)
        for sock, peer in waiting:
            if peer[1] in ours:
                sock.close()
            else:
                self._admit(sock, peer)

    def _all_waiting(self) -> list[tuple[socket.socket, Any]]:
        assert self._socket is not None
        waiting = []
        try:
            while True:
                waiting.append(self._socket.accept())
        except OSError:
            return waiting

    # -- accepting -----------------------------------------------------------------------------------------------------

    def _accept(self, wanted: bool) -> None:
        if self._socket is not None and wanted != self._accepting:
            self._accepting = wanted
            if wanted:
                self._loop.add_reader(self._socket, self._on_client)
            else:
                self._loop.remove_reader(self._socket)

    def _on_client(self) -> None:
        for number in range(ACCEPTS_AT_ONCE):
            if self._socket is None or not self._accepting:
                return
            if not descriptors.are_free(self._socket.fileno()):
                if number == 0:  # only then a client is known to wait
                    self._pause(self._socket, errno.EMFILE)
                return
            try:
                sock, peer = self._socket.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError as error:
                self._on_failure(self._socket, error)
                return
            self._lacks = False
            self._admit(sock, peer)

    def _on_failure(self, listener: socket.socket, error: OSError) -> None:
        if descriptors.are_exhausted_by(error):
            self._pause(listener, error.errno or 0)
        else:
            self._note("accept failed", error=os.strerror(error.errno or 0))

    def _pause(self, listener: socket.socket, number: int) -> None:
        """Leave clients in the kernel's queue for a while; logged once, however long it lasts."""
        if not self._lacks:
            self._lacks = True
            self._note("accept failed", error=os.strerror(number))
        self._accept(False)
        self._loop.call_later(ACCEPT_AGAIN_SECONDS, self._again, listener)

    def _again(self, listener: socket.socket) -> None:
        if self._socket is listener and not self._shut and not self._fillers:
            self._accept(True)


def _bound(target: Target) -> socket.socket:
    sock = socket.socket(target.family, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
    try:
        sock.setblocking(False)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if target.family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0 if target.address[0] == "::" else 1)
        sock.bind(target.address)
    except OSError:
        sock.close()
        raise
    return sock


def _reachable(target: Target) -> Any:
    """The address at which a client on this machine reaches a listener."""
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(target.address[0], target.address[0])
    return (host, *target.address[1:])
