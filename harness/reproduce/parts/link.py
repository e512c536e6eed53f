"""A TCP proxy between a rank and the master, and what can go wrong on it."""

from __future__ import annotations

import queue
import socket
import struct
import threading
import time
from collections.abc import Iterable, Iterator
from typing import Any

from harness.reproduce.parts.log import log
from harness.reproduce.parts.messages import Message, Messages
from harness.reproduce.parts.process import act


class Cut(Exception):
    """The connection ends here: fin or rst; silence swallows all that follows, and tells nobody."""


class Link:
    """Listens for one rank, and passes the bytes of each connection through the faults."""

    def __init__(self, play: Any, rank: int, target: tuple[str, int]) -> None:
        self.play, self.rank, self.target, self.port = play, rank, target, 0
        self.lock = threading.Lock()
        self.faults: list[Any] = []
        self.connections: list[Connection] = []
        self.open()

    def open(self) -> None:
        self.listener = socket.create_server(("127.0.0.1", self.port))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.accept, args=(self.listener,), daemon=True).start()

    def accept(self, listener: socket.socket) -> None:
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return  # it was closed
            try:
                self.connections.append(Connection(self, client, socket.create_connection(self.target)))
            except OSError:
                client.close()

    def pass_on(self, piece: bytes, target: socket.socket) -> None:
        """Send it; nothing else passes meanwhile."""
        with self.lock:
            target.sendall(piece)
            report(self, piece)  # if when_message


def report(link: Link, piece: bytes) -> None:
    """Log a message, and let the play act on it."""
    if isinstance(piece, Message):
        log(state="passed", link=link.rank, side=piece.side, kind=piece.kind, keys=piece.keys)
        act(link.play)


class Connection:
    """One connection through a link: for each direction a thread that reads, and one that sends."""

    def __init__(self, link: Link, client: socket.socket, server: socket.socket) -> None:
        self.link, self.ends = link, (client, server)
        self.messages = Messages()  # if Messages
        self.memory: dict[Any, Any] = {}  # of faults
        for direction, source, target in (("upstream", client, server), ("downstream", server, client)):
            source.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            arrived: queue.Queue[tuple[float, bytes]] = queue.Queue()
            threading.Thread(target=self.read, args=(source, arrived), daemon=True).start()
            threading.Thread(target=self.send, args=(direction, arrived, target), daemon=True).start()

    def read(self, source: socket.socket, arrived: queue.Queue[tuple[float, bytes]]) -> None:
        data = b"..."
        while data:
            try:
                data = source.recv(65536)
            except OSError:
                data = b""
            arrived.put((time.monotonic(), data))

    def send(self, direction: str, arrived: queue.Queue[tuple[float, bytes]], target: socket.socket) -> None:
        data = b"..."
        try:
            while data:
                time_of_arrival, data = arrived.get()
                wholes: Iterable[bytes] = (data,)
                wholes = self.messages.split(direction, data)  # if Messages
                for whole in wholes:
                    pieces: Iterator[bytes] = iter((whole,))
                    for fault in self.link.faults:
                        if direction in fault.streams:
                            pieces = fault.shape(self, pieces, time_of_arrival)
                    for piece in pieces:
                        self.messages.passes(piece)  # if Messages
                        self.link.pass_on(piece, target)
        except Cut as cut:
            self.close(how=str(cut))
        except OSError:
            self.close()
        else:
            self.close()

    def close(self, how: str = "fin") -> None:
        """End it on both sides; a peer of `rst` gets a reset."""
        for end in self.ends if how != "silence" else ():
            try:
                if how == "rst":
                    end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                end.shutdown(socket.SHUT_RD if how == "rst" else socket.SHUT_RDWR)  # wakes the thread that reads
            except OSError:
                pass  # the peer has ended it
            end.close()
