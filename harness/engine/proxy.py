"""A proxy: its addresses, its toxics in their order, and its connections."""

from __future__ import annotations

import asyncio
import itertools
import socket
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from random import Random
from typing import Any

from harness.engine.addresses import Target
from harness.engine.connection import Connection
from harness.engine.journal import Journal
from harness.engine.link import Link
from harness.engine.listener import Listener
from harness.engine.toxic_stage import Toxic
from harness.engine.toxics.base import ListenerBehaviour, MessageBehaviour
from harness.engine.wire.decoder import Message
from harness.engine.wire.grammar import CODES
from harness.engine.wire.log import LoggedMessage, MessageLog
from harness.engine.wire.rules import Hit
from harness.engine.wire.watcher import Breakpoint


class Proxy:
    """Nothing here blocks, so each change is done on every open connection when the call returns.

    Attributes:
        listen: the numeric address while it is enabled; before that, as it was given.
        seed: of the engine's random draws.
        codes: of the store's queries.
        source, target: labels of its two ends, for partitions between groups; empty if not given.
    """

    def __init__(
        self,
        name: str,
        listen: str,
        upstream: str,
        *,
        loop: asyncio.AbstractEventLoop,
        journal: Journal,
        messages: MessageLog,
        identities: Iterator[int],
        seed: str,
        codes: Mapping[int, str] = CODES,
        on_message: Callable[[str, Message], Breakpoint | None] = lambda proxy, message: None,
        on_freed: Callable[[], None] = lambda: None,
    ) -> None:
        self.name = name
        self.listen = listen
        self.upstream = upstream
        self.loop = loop
        self.journal = journal
        self.messages = messages
        self.seed = seed
        self.codes = codes
        self.source = self.target = ""
        self.toxics: list[Toxic] = []
        self.connections: dict[int, Connection] = {}
        self._on_message = on_message
        self._on_freed = on_freed
        self._identities = identities
        self._numbers = itertools.count(1)
        self._listener = Listener(loop, self._admit, self.note)

    # -- listening -----------------------------------------------------------------------------------------------------

    @property
    def enabled(self) -> bool:
        return self._listener.is_open

    def start(self, target: Target) -> None:
        """Listen; the kernel queues clients from now on. Raises OSError."""
        if not self._listener.is_open:
            self.listen = str(self._listener.open(target, self._listener_behaviours()))
            self.note("listen", listen=self.listen)

    def stop(self, cause: str) -> None:
        """Refuse new clients, then cut every connection; bytes that toxics hold are lost."""
        self.note_unanswered()
        if self._listener.is_open:
            self._listener.close()
            self.note("unlisten", cause=cause)
        for toxic, behaviour in self._listener_toxics():
            behaviour.release(toxic.memory)
        for connection in list(self.connections.values()):
            connection.abort(cause)

    def note(self, event: str, **details: Any) -> None:
        """Write into the event log."""
        self.journal.note(event, proxy=self.name, **details)

    def log(self, connection: int, message: Message, time_ns: int) -> LoggedMessage:
        """Write into the log of messages."""
        return self.messages.add(self.name, connection, message, time_ns)

    def gave_up(self) -> None:
        """Messages of one more connection are missing in the log of messages."""
        self.messages.gave_up(self.name)

    def _admit(self, sock: socket.socket, peer: Any) -> None:
        number, text = next(self._numbers), str(Target(sock.family, peer))
        for toxic, behaviour in self._listener_toxics():
            if self._is_hit(toxic, number) and behaviour.on_client(sock, toxic.memory):
                self.note("turned away", toxic=toxic.name, kind=toxic.kind, peer=text)
                return
        connection = Connection(self, next(self._identities), number, sock, text)
        self.connections[connection.id] = connection
        connection.dial()

    def note_unanswered(self) -> None:
        """Log the connection attempts that a full queue has left unanswered; only the kernel sees them."""
        tries = self._listener.unanswered()
        toxic = next((toxic for toxic, behaviour in self._listener_toxics() if behaviour.fills_backlog), None)
        if tries and toxic is not None:
            self.note("unanswered", toxic=toxic.name, tries=tries)

    def _is_hit(self, toxic: Toxic, number: int) -> bool:
        return Random(f"{self.seed}/{self.name}/{number}/{toxic.name}").random() < toxic.toxicity

    def _listener_toxics(self) -> list[tuple[Toxic, ListenerBehaviour]]:
        return [(toxic, toxic.behaviour) for toxic in self.toxics if isinstance(toxic.behaviour, ListenerBehaviour)]

    def _listener_behaviours(self) -> list[ListenerBehaviour]:
        return [behaviour for _, behaviour in self._listener_toxics()]

    def connection_over(self, connection: Connection) -> None:
        """The connection has closed both its sockets."""
        self.connections.pop(connection.id, None)

    def memory_freed(self) -> None:
        """A connection has held many bytes, and holds none any more."""
        self._on_freed()

    # -- toxics --------------------------------------------------------------------------------------------------------

    def chain(self, direction: str) -> list[Toxic]:
        """The toxics of one direction, oldest first."""
        return [toxic for toxic in self.toxics if toxic.direction == direction]

    def toxic(self, name: str) -> Toxic | None:
        return next((toxic for toxic in self.toxics if toxic.name == name), None)

    def add_toxic(self, toxic: Toxic) -> None:
        """Add a toxic at the end of its direction, on open connections too."""
        self.toxics.append(toxic)
        self._change(toxic, lambda link: link.change(lambda pipeline, now_ns: pipeline.add(toxic, now_ns)))

    def toxic_changed(self, toxic: Toxic) -> None:
        """Apply the toxic's new values to open connections."""
        self._change(toxic, lambda link: link.change(lambda pipeline, now_ns: pipeline.update(toxic, now_ns)))

    def remove_toxic(self, toxic: Toxic) -> None:
        """Remove a toxic, on open connections too."""
        self.note_unanswered()
        self.toxics.remove(toxic)
        if isinstance(toxic.behaviour, ListenerBehaviour):
            toxic.behaviour.release(toxic.memory)
        self._change(toxic, lambda link: link.change(lambda pipeline, now_ns: pipeline.remove(toxic, now_ns)))

    def remove_toxics(self) -> None:
        """Remove all toxics."""
        for toxic in list(self.toxics):
            self.remove_toxic(toxic)

    def effects(self, now_ns: int) -> list[dict[str, Any]]:
        """The JSON of what each of its toxics has done so far, oldest toxic first."""
        links = [link for connection in self.live() for link in connection.links]
        found = []
        for toxic in self.toxics:
            waiting_ns = max((link.pipeline.waiting_ns(toxic, now_ns) for link in links), default=0)
            effect = replace(toxic.effect, waiting_ns=waiting_ns).to_json()
            found.append({"proxy": self.name, "toxic": toxic.name, "kind": toxic.kind, **effect})
        return found

    def hits(self, message: Message, number: int, memories: dict[str, dict[str, Any]]) -> Iterator[Hit]:
        """What toxics do to a message on the connection of that number, which has these memories of them."""
        for toxic in self.toxics:
            behaviour = toxic.behaviour
            if not isinstance(behaviour, MessageBehaviour) or not self._is_hit(toxic, number):
                continue
            if behaviour.is_meant(message, toxic.memory, memories.setdefault(toxic.name, {})):
                yield behaviour.hit(toxic.name)

    def stands(self, hit: Hit) -> bool:
        """Whether the toxic of a hit is still there."""
        return self.toxic(hit.toxic) is not None

    def breakpoint(self, message: Message) -> Breakpoint | None:
        """The breakpoint that a message on one of its connections has reached."""
        return self._on_message(self.name, message)

    def recheck_holds(self) -> None:
        """Have held messages check again whether they may go on."""
        for connection in self.live():
            for link in connection.links:
                link.change(lambda pipeline, now_ns: pipeline.nudge(now_ns))

    def half_closer(self, direction: str) -> Toxic | None:
        """The toxic that lets one direction end without the other; the real server closes the whole connection.

        Any such toxic acts on both directions; of several, one of the given direction is preferred.
        """
        able = [toxic for toxic in self.toxics if toxic.behaviour.half_closes]
        return min(able, key=lambda toxic: toxic.direction != direction, default=None)

    def _change(self, toxic: Toxic, change: Callable[[Link], None]) -> None:
        for connection in list(self.connections.values()):
            link = connection.link(toxic.direction)
            if link is not None:
                change(link)
        if isinstance(toxic.behaviour, ListenerBehaviour):
            self._listener.apply(self._listener_behaviours())
        if isinstance(toxic.behaviour, MessageBehaviour):
            self.recheck_holds()

    def live(self) -> Iterable[Connection]:
        """Its connections, oldest first."""
        return list(self.connections.values())
