"""Listen on the master's port in its place: silent, as an echo, with HTTP, or as the store of another run."""

from __future__ import annotations

import contextlib
import os
import selectors
import socket
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any

from harness import clock
from harness.faults.base import FAULTS, Evidence, FaultContext, FaultMember
from harness.machine.network import listening, sockets
from harness.values.attribute import Attribute, Declaration
from harness.values.endpoint import Endpoint
from harness.values.errors import HarnessError
from harness.worlds.base import Host

DEFAULT_ADDRESS = "127.0.0.1"
ADDRESSES = (DEFAULT_ADDRESS, "0.0.0.0", "::1", "::")
ANSWERS = ("nothing", "echo", "http", "store")

HTTP_ANSWER = b"HTTP/1.0 400 Bad Request\r\nContent-Type: text/plain\r\nConnection: close\r\n\r\nBad Request\n"
CHUNK = 65536
BUFFER = 1 << 20  # an echo to a client that never reads stops reading at that size

# The kernel keeps a closed connection in its tables for this long; older ones cannot be counted.
TRACE_NS = 60_000_000_000


@FAULTS.register("impostor")
class Impostor(FaultMember):
    """A listener on the endpoint's port that accepts, and answers as another program would."""

    declaration = Declaration(
        kind="impostor",
        summary="Accepts connections on the endpoint's port without being the master's store.",
        attributes=(
            Attribute(
                "answers",
                "choice",
                "`nothing`: accepts and never reads; `echo`: sends all bytes back; `http`: answers 400 to the first "
                "bytes and closes; `store`: a TCPStore of another run",
                default="nothing",
                choices=ANSWERS,
            ),
            Attribute(
                "address",
                "choice",
                "where it listens; `::` takes the port for IPv4 too, 127.0.0.1 means the master's host; "
                "a `store` listens everywhere",
                default=DEFAULT_ADDRESS,
                choices=ADDRESSES,
            ),
        ),
        example="{inject: impostor, answers: http, for: 2s}",
        details=(
            "Healing closes its connections and frees the port. If the port is already in use, it cannot be taken, and "
            "the cell is vacuous. It is vacuous too if, while the port was held, the master (the process that was "
            "given rank 0) was not in a join and nobody connected."
        ),
    )
    layer = "port"
    wants = "nobody"

    @classmethod
    def problems(cls, attributes: Mapping[str, Any]) -> Sequence[str]:
        if attributes.get("answers") == "store" and attributes.get("address", DEFAULT_ADDRESS) != DEFAULT_ADDRESS:
            return ("a TCPStore listens on every address; leave `address` out where `answers` is `store`",)
        return ()

    @contextlib.contextmanager
    def hold(self, context: FaultContext) -> Iterator[Callable[[], Evidence]]:
        since_ns = clock.now_ns()
        with self._impostor(context) as counted:

            def evidence() -> Evidence:
                connections, facts = counted()
                wanted = context.master_join_begun_since(since_ns)
                touched = True if connections or wanted else None if connections is None else False
                touched = touched if facts["held"] else False
                return Evidence(touched, {**facts, "connections": connections, "master_wanted_it": wanted})

            yield evidence

    def _impostor(self, context: FaultContext) -> AbstractContextManager[_Count]:
        port, address, host = context.endpoint.port, self.fault.attributes["address"], context.master_host
        if self.fault.attributes["answers"] == "store":
            return _foreign_store(context, port)
        endpoint = Endpoint(host.address if address == DEFAULT_ADDRESS else address, port)
        return _listening(host, endpoint, BEHAVIOURS[self.fault.attributes["answers"]])


_Count = Callable[[], tuple[int | None, Mapping[str, Any]]]
"""How many connections came (None: unknown), and further facts."""


@contextlib.contextmanager
def _foreign_store(context: FaultContext, port: int) -> Iterator[_Count]:
    """A store in its own process: the controller never imports torch."""
    with context.helper("impostor_store", {"port": port}) as pid:
        since_ns = clock.now_ns()
        before = _connections(context, port)  # includes its own client

        def counted() -> tuple[int | None, Mapping[str, Any]]:
            # The store does not count its connections, but the kernel keeps them.
            seen = listening.new_connections(before, _connections(context, port))
            unknown = seen == 0 and clock.now_ns() - since_ns > TRACE_NS
            held = _serves(context, port, pid)
            return (None if unknown else seen), {"port": port, "pid": pid, "held": held}

        yield counted


def _serves(context: FaultContext, port: int, pid: int) -> bool:
    """Whether this process is the one that listens on the port; where its pid cannot be seen, whether any does."""
    with context.master_host.inside():
        holders = [one.pid for one in sockets.listeners() if one.address.port == port]
    return any(holder in (None, pid) for holder in holders)


def _connections(context: FaultContext, port: int) -> Mapping[listening.Pair, frozenset[int]]:
    with context.master_host.inside():
        return listening.connections_of_port(port)


@contextlib.contextmanager
def _listening(host: Host, endpoint: Endpoint, behaviour: type[_Peer]) -> Iterator[_Count]:
    with contextlib.ExitStack() as stack:
        try:
            with host.inside():
                listener = stack.enter_context(listening.listen(endpoint.host, endpoint.port))
        except OSError as error:
            raise HarnessError(
                f"{endpoint} cannot be taken by an impostor ({error.strerror or error}); "
                "inject it before rank 0 starts, or after the port is free"
            ) from error
        server = stack.enter_context(_Server(listener, behaviour))
        about = {"address": endpoint.host, "port": endpoint.port, "inode": listening.inode_of(listener)}

        def counted() -> tuple[int, Mapping[str, Any]]:
            with host.inside():
                held = listening.holds(listener, endpoint.port)
            return server.accepted, {
                **about, "held": held, "received_bytes": server.received, "sent_bytes": server.sent,
            }  # fmt: skip

        yield counted


class _Server:
    """Serves all connections of one listener in its own thread, which ends with the `with` block."""

    def __init__(self, listener: socket.socket, behaviour: type[_Peer]) -> None:
        self._listener = listener
        self._behaviour = behaviour
        self._peers: list[_Peer] = []
        self._wake_reader, self._wake_writer = os.pipe()
        self._thread = threading.Thread(target=self._serve, name="impostor", daemon=True)

    @property
    def accepted(self) -> int:
        return len(self._peers)

    @property
    def received(self) -> int:
        return sum(peer.received for peer in list(self._peers))

    @property
    def sent(self) -> int:
        return sum(peer.sent for peer in list(self._peers))

    def __enter__(self) -> _Server:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._wake_writer)
        self._thread.join()
        os.close(self._wake_reader)
        for peer in self._peers:
            peer.connection.close()

    def _serve(self) -> None:
        with selectors.DefaultSelector() as selector:
            selector.register(self._wake_reader, selectors.EVENT_READ)
            selector.register(self._listener, selectors.EVENT_READ)
            while True:
                ready = {key.fileobj: key.data for key, _ in selector.select()}
                if self._wake_reader in ready:
                    return
                for connection, peer in ready.items():
                    if connection is self._listener:
                        self._welcome(selector)
                    else:
                        _let_act(selector, connection, peer)

    def _welcome(self, selector: selectors.BaseSelector) -> None:
        for connection in listening.accept_all(self._listener):
            connection.setblocking(False)
            peer = self._behaviour(connection)
            self._peers.append(peer)
            if peer.interest():
                selector.register(connection, peer.interest(), peer)


def _let_act(selector: selectors.BaseSelector, connection: Any, peer: _Peer) -> None:
    try:
        peer.act()
        interest = peer.interest()
    except OSError:
        interest = 0  # it was reset; its socket stays open until healing
    if interest:
        selector.modify(connection, interest, peer)
    else:
        selector.unregister(connection)


class _Peer(ABC):
    """One accepted connection, and its answers."""

    def __init__(self, connection: socket.socket) -> None:
        self.connection = connection
        self.received = 0
        self.sent = 0
        self.ended = False

    @abstractmethod
    def interest(self) -> int:
        """The events of `selectors` to wait for; 0 if there is nothing more to do."""

    @abstractmethod
    def act(self) -> None:
        """Read and write what is possible now; raises OSError if the connection is gone."""

    def receive(self) -> bytes:
        """The bytes that have arrived, possibly none; sets `ended` at the end of the stream."""
        try:
            data = self.connection.recv(CHUNK)
        except BlockingIOError:
            return b""
        self.received += len(data)
        self.ended = not data
        return data

    def send(self, data: bytes) -> bytes:
        """Send what the kernel accepts; the rest."""
        try:
            count = self.connection.send(data) if data else 0
        except BlockingIOError:
            count = 0
        self.sent += count
        return data[count:]


class _Silent(_Peer):
    """Neither reads nor writes: incoming bytes fill the kernel's buffers."""

    def interest(self) -> int:
        return 0

    def act(self) -> None:
        """Nothing to do."""


class _Echo(_Peer):
    """Sends back every byte."""

    def __init__(self, connection: socket.socket) -> None:
        super().__init__(connection)
        self._owed = b""

    def interest(self) -> int:
        read = 0 if self.ended or len(self._owed) > BUFFER else selectors.EVENT_READ
        return read | (selectors.EVENT_WRITE if self._owed else 0)

    def act(self) -> None:
        self._owed = self.send(self._owed)
        if not self.ended and len(self._owed) <= BUFFER:
            self._owed = self.send(self._owed + self.receive())
        if self.ended and not self._owed:
            self.connection.shutdown(socket.SHUT_WR)


class _Http(_Peer):
    """Answers the first bytes as a bad request, closes its side, and reads until the peer closes too."""

    def interest(self) -> int:
        return 0 if self.ended else selectors.EVENT_READ

    def act(self) -> None:
        if self.receive() and not self.sent:
            self.send(HTTP_ANSWER)
            self.connection.shutdown(socket.SHUT_WR)


BEHAVIOURS: Mapping[str, type[_Peer]] = {"nothing": _Silent, "echo": _Echo, "http": _Http}
