"""A client's connection: its upstream is dialled after the accept, then two links carry bytes until both ends close."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import socket
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Protocol

from harness import clock
from harness.engine import addresses
from harness.engine.link import Link
from harness.engine.peer import Peer
from harness.engine.toxic_stage import ConnectionContext, Toxic
from harness.engine.wire.decoder import Message
from harness.engine.wire.log import LoggedMessage
from harness.engine.wire.rules import Hit
from harness.engine.wire.watcher import Breakpoint, Conversation, Watcher


class Owner(Protocol):
    """The proxy, as its connections see it."""

    @property
    def name(self) -> str: ...

    @property
    def upstream(self) -> str: ...

    @property
    def loop(self) -> asyncio.AbstractEventLoop: ...

    @property
    def seed(self) -> str: ...

    @property
    def codes(self) -> Mapping[int, str]:
        """Of the store's queries."""

    def note(self, event: str, **details: Any) -> None:
        """Write into the event log."""

    def log(self, connection: int, message: Message, time_ns: int) -> LoggedMessage:
        """Write into the log of messages; the time is that of the first byte."""

    def gave_up(self) -> None:
        """Messages of one more connection are missing in the log of messages."""

    def chain(self, direction: str) -> Iterable[Toxic]:
        """The toxics of one direction, oldest first."""

    def half_closer(self, direction: str) -> Toxic | None:
        """The toxic that lets an end in one direction leave the other alone, if there is one."""

    def hits(self, message: Message, number: int, memories: dict[str, dict[str, Any]]) -> Iterable[Hit]:
        """What toxics do to a message on the connection of that number, which has these memories of them."""

    def stands(self, hit: Hit) -> bool:
        """Whether the toxic of a hit is still there."""

    def breakpoint(self, message: Message) -> Breakpoint | None:
        """The breakpoint that a message has reached."""

    def connection_over(self, connection: Connection) -> None:
        """The connection has closed both its sockets."""

    def memory_freed(self) -> None:
        """A connection has held many bytes, and holds none any more."""


class Connection:
    """Implements `link.Owner`. The end of one link closes its destination, and so ends the other link.

    Attributes:
        id: unique in the engine; `number` counts the connections of the proxy from 1.
        opened_ns: when it was accepted.
        resets: whether it ends with RST, whatever ends it.
        closed_by: why it ended; empty while it lives.
    """

    def __init__(self, proxy: Owner, identity: int, number: int, sock: socket.socket, peer: str) -> None:
        self.id = identity
        self.number = number
        self.peer = peer
        self.opened_ns = clock.now_ns()
        self.resets = False
        self.closed_by = ""
        self.links: tuple[Link, ...] = ()
        self._proxy = proxy
        self._loop = proxy.loop
        self._client = Peer("client", sock, self._loop)
        self._server: Peer | None = None
        self._over = False
        self._dialling: asyncio.Task[None] | None = None
        self.note("accept", peer=peer)

    def note(self, event: str, **details: Any) -> None:
        """Write into the event log."""
        self._proxy.note(event, connection=self.id, **details)

    # -- dialling ------------------------------------------------------------------------------------------------------

    def dial(self) -> None:
        """Connect to the upstream, without a time limit and without blocking other connections."""
        target = addresses.literal(self._proxy.upstream)
        if target is not None:
            self._connect(target)
        else:
            self._dialling = self._loop.create_task(self._resolve_and_connect())

    async def _resolve_and_connect(self) -> None:
        try:
            target = await addresses.resolve(self._proxy.upstream, self._loop)
        except addresses.AddressError as error:
            self._dial_failed(str(error))
        else:
            self._connect(target)

    def _connect(self, target: addresses.Target) -> None:
        try:
            sock = socket.socket(target.family, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
        except OSError as error:
            self._dial_failed(os.strerror(error.errno or 0))
            return
        self._server = Peer("server", sock, self._loop)
        code = sock.connect_ex(target.address)
        if code in (0, errno.EINPROGRESS):
            self._server.watch_writes(True, self._on_connected)
        else:
            self._dial_failed(os.strerror(code))

    def _on_connected(self) -> None:
        assert self._server is not None
        self._server.watch_writes(False, self._on_connected)
        code = self._server.sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if code:
            self._dial_failed(os.strerror(code))
            return
        self._carry(self._server)

    def _dial_failed(self, reason: str) -> None:
        self.abort(f"dial failed: {reason}")

    # -- carrying ------------------------------------------------------------------------------------------------------

    def _carry(self, server: Peer) -> None:
        with contextlib.suppress(OSError):  # a peer that is already gone is noticed at the next read
            self._client.tune()
            server.tune()
        self.note("dial", upstream=self._proxy.upstream)
        conversation = self._conversation()
        self.links = (
            self._link("upstream", self._client, server, conversation),
            self._link("downstream", server, self._client, conversation),
        )
        for link in self.links:
            link.start()

    def _conversation(self) -> Conversation:
        proxy = self._proxy
        memories: dict[str, dict[str, Any]] = {}
        return Conversation(
            proxy.codes,
            hits=lambda message: proxy.hits(message, self.number, memories),
            stands=proxy.stands,
            breakpoint=proxy.breakpoint,
            note=self.note,
            log=lambda message, time_ns: proxy.log(self.id, message, time_ns),
            on_opaque=proxy.gave_up,
        )

    def _link(self, direction: str, source: Peer, destination: Peer, conversation: Conversation) -> Link:
        chain, around = self._proxy.chain(direction), self._around(direction, conversation)
        return Link(self, direction, source, destination, self._loop, chain, around)

    def _around(self, direction: str, conversation: Conversation) -> ConnectionContext:
        def note(event: str, **details: Any) -> None:
            self.note(event, direction=direction, **details)

        seed = f"{self._proxy.seed}/{self._proxy.name}/{self.number}/{direction}"
        return ConnectionContext(
            seed,
            note,
            self._reset_on_close,
            self.abort,
            Watcher(conversation, direction),
            lambda call: self._later(direction, call),
            conversation.fates[direction],
        )

    def _later(self, direction: str, call: Callable[[], None]) -> None:
        """Make a call while no pipeline runs, then let that direction go on."""

        def now() -> None:
            call()
            link = self.link(direction)
            if link is not None and not link.done:
                link.settle()

        self._loop.call_soon(now)

    def _reset_on_close(self) -> None:
        self.resets = True

    def link(self, direction: str) -> Link | None:
        """The link of that direction; None while the upstream is dialled."""
        return next((link for link in self.links if link.direction == direction), None)

    # -- closing -------------------------------------------------------------------------------------------------------

    def link_read(self, link: Link) -> None:
        self.note("first byte", direction=link.direction)

    def link_over(self, link: Link, cause: str) -> None:
        self.note("end", direction=link.direction, cause=cause)

    def link_freed(self) -> None:
        self._proxy.memory_freed()

    def link_ended(self, link: Link, cause: str) -> None:
        link.abandon()
        self.closed_by = self.closed_by or cause
        toxic = self._proxy.half_closer(link.direction) if link.ended_by.endswith(" closed") else None
        if toxic is not None:
            link.destination.finish_writing()
            if not any(other.done or other.ended_by for other in self.links if other is not link):
                self.note("half closed", direction=link.direction, toxic=toxic.name)
        else:
            link.destination.close(self.resets)
            for other in self.links:
                if other.source is link.destination:
                    other.source_closed(cause)
        self._leave_if_over()

    def abort(self, cause: str, reset: bool = False) -> None:
        """Close both sides now; bytes under way are lost."""
        self.closed_by = self.closed_by or cause
        if self._dialling is not None:
            self._dialling.cancel()
        for link in self.links:
            link.abandon()
        self._client.close(reset or self.resets)
        if self._server is not None:
            self._server.close(reset or self.resets)
        self._leave_if_over()

    def _leave_if_over(self) -> None:
        if self.links and all(link.done for link in self.links):
            self._client.close(self.resets)
            for link in self.links:
                link.destination.close(self.resets)
        if self._client.closed and (self._server is None or self._server.closed) and not self._over:
            self._over = True
            self.note("close", cause=self.closed_by, **self._counts())
            self._proxy.connection_over(self)

    def _counts(self) -> dict[str, int]:
        return {
            f"{link.direction}_{what}": count
            for link in self.links
            for what, count in (("read_bytes", link.read_bytes), ("written_bytes", link.written_bytes))
        }

    def describe(self) -> dict[str, Any]:
        """The JSON of the API."""
        return {
            "id": self.id,
            "number": self.number,
            "proxy": self._proxy.name,
            "peer": self.peer,
            "opened_ns": self.opened_ns,
            "state": "open" if self.links else "dialling",
            **self._counts(),
        }
