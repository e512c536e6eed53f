"""A proxy: where it listens, where it leads, its toxics in their order, and its connections."""

from __future__ import annotations

import asyncio
import errno
import itertools
import os
import socket
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from harness.proxies.embedded.addresses import Target
from harness.proxies.embedded.connection import Connection
from harness.proxies.embedded.journal import Journal
from harness.proxies.embedded.link import Link
from harness.proxies.embedded.stage import Toxic

BACKLOG = 4096
ACCEPTS_AT_ONCE = 64
ACCEPT_AGAIN_SECONDS = 0.05
"""How long to let the kernel queue clients when we have no descriptor for another one."""

_NO_DESCRIPTORS = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)


class Proxy:
    """Nothing here blocks, so each change is done on every live connection when the call returns.

    Attributes:
        listen: the numeric address while it is enabled; before that, as it was typed.
        seed: names the engine's chance.
    """

    def __init__(
        self,
        name: str,
        listen: str,
        upstream: str,
        *,
        loop: asyncio.AbstractEventLoop,
        journal: Journal,
        identities: Iterator[int],
        seed: str,
    ) -> None:
        self.name = name
        self.listen = listen
        self.upstream = upstream
        self.loop = loop
        self.journal = journal
        self.seed = seed
        self.toxics: list[Toxic] = []
        self.connections: dict[int, Connection] = {}
        self._identities = identities
        self._numbers = itertools.count(1)
        self._listener: socket.socket | None = None

    # -- listening -----------------------------------------------------------------------------------------------------

    @property
    def enabled(self) -> bool:
        return self._listener is not None

    def start(self, target: Target) -> None:
        """Listen; the kernel queues clients from now on. Raises OSError."""
        if self._listener is not None:
            return
        listener = _listen(target)
        self._listener = listener
        host, port = listener.getsockname()[:2]
        self.listen = str(Target(target.family, (host, port)))
        self.loop.add_reader(listener, self._on_client)
        self.journal.note("listen", proxy=self.name, listen=self.listen)

    def stop(self, cause: str) -> None:
        """Refuse new clients, then cut every connection; what is under way in toxics is lost."""
        if self._listener is not None:
            self.loop.remove_reader(self._listener)
            self._listener.close()
            self._listener = None
            self.journal.note("unlisten", proxy=self.name, cause=cause)
        for connection in list(self.connections.values()):
            connection.abort(cause)

    def _on_client(self) -> None:
        for _ in range(ACCEPTS_AT_ONCE):
            if self._listener is None:
                return
            try:
                sock, peer = self._listener.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError as error:
                self._pause_accepting(error)
                return
            self._admit(sock, peer)

    def _admit(self, sock: socket.socket, peer: Any) -> None:
        text = str(Target(sock.family, peer))
        connection = Connection(self, next(self._identities), next(self._numbers), sock, text)
        self.connections[connection.id] = connection
        connection.dial()

    def _pause_accepting(self, error: OSError) -> None:
        listener = self._listener
        assert listener is not None
        self.journal.note("accept failed", proxy=self.name, error=os.strerror(error.errno or 0))
        if error.errno in _NO_DESCRIPTORS:
            self.loop.remove_reader(listener)
            self.loop.call_later(ACCEPT_AGAIN_SECONDS, self._accept_again, listener)

    def _accept_again(self, listener: socket.socket) -> None:
        if self._listener is listener:
            self.loop.add_reader(listener, self._on_client)

    def connection_over(self, connection: Connection) -> None:
        """It has closed both its sides."""
        self.connections.pop(connection.id, None)

    # -- toxics --------------------------------------------------------------------------------------------------------

    def chain(self, direction: str) -> list[Toxic]:
        """The toxics of one direction, oldest first."""
        return [toxic for toxic in self.toxics if toxic.direction == direction]

    def toxic(self, name: str) -> Toxic | None:
        return next((toxic for toxic in self.toxics if toxic.name == name), None)

    def add_toxic(self, toxic: Toxic) -> None:
        """At the end of its direction, on live connections too."""
        self.toxics.append(toxic)
        self._change(toxic, lambda link: link.change(lambda pipeline, now_ns: pipeline.add(toxic, now_ns)))

    def toxic_changed(self, toxic: Toxic) -> None:
        """The toxic has other values: tell live connections."""
        self._change(toxic, lambda link: link.change(lambda pipeline, now_ns: pipeline.update(toxic, now_ns)))

    def remove_toxic(self, toxic: Toxic) -> None:
        """Take it away, on live connections too."""
        self.toxics.remove(toxic)
        self._change(toxic, lambda link: link.change(lambda pipeline, now_ns: pipeline.remove(toxic, now_ns)))

    def remove_toxics(self) -> None:
        """Take all away."""
        for toxic in list(self.toxics):
            self.remove_toxic(toxic)

    def half_closes(self, connection: Connection) -> bool:
        """Whether an end in one direction leaves the other alone; the real server closes the whole connection."""
        return False

    def _change(self, toxic: Toxic, change: Callable[[Link], None]) -> None:
        for connection in list(self.connections.values()):
            link = connection.link(toxic.direction)
            if link is not None:
                change(link)

    def live(self) -> Iterable[Connection]:
        """Its connections, oldest first."""
        return list(self.connections.values())


def _listen(target: Target) -> socket.socket:
    listener = socket.socket(target.family, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
    try:
        listener.setblocking(False)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if target.family == socket.AF_INET6:
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0 if target.address[0] == "::" else 1)
        listener.bind(target.address)
        listener.listen(BACKLOG)
    except OSError:
        listener.close()
        raise
    return listener
