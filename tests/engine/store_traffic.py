"""The client and the server of a store, played by the test: the bytes that torch sends."""

from __future__ import annotations

import socket
import struct
from collections.abc import Sequence
from dataclasses import dataclass

from backends import read

# In the order of torch's enum; written out here, so that a slip in the engine's table shows.
NAMES = ["validate", "set", "compare_set", "get", "add", "check", "wait", "getnumkeys", "delete_key", "append"]
NAMES += [
    "multi_get",
    "multi_set",
    "cancel_wait",
    "ping",
    "queue_push",
    "queue_pop",
    "queue_len",
    "list_keys",
    "barrier",
]
CODES = {name: code for code, name in enumerate(NAMES)}
GREETING = bytes.fromhex("00 cef7853c 0d fd3b0000")
NONCE = bytes.fromhex("fd3b0000")


def text(value: str | bytes) -> bytes:
    """A key or a value: its length, then its bytes."""
    data = value.encode() if isinstance(value, str) else value
    return struct.pack("<Q", len(data)) + data


def number(value: int) -> bytes:
    return struct.pack("<q", value)


def query(kind: str, *fields: str | int | bytes | Sequence[str]) -> bytes:
    """The bytes of a query: a text is a key or a value, a list is keys after their count."""
    body = b""
    for field in fields:
        if isinstance(field, (str, bytes)):
            body += text(field)
        elif isinstance(field, int):
            body += number(field)
        else:
            body += number(len(field)) + b"".join(text(key) for key in field)
    return bytes([CODES[kind]]) + body


@dataclass
class Talk:
    """A connection on which client and server have exchanged greetings."""

    client: socket.socket
    server: socket.socket

    def greet(self) -> Talk:
        self.client.sendall(GREETING)
        assert read(self.server, len(GREETING)) == GREETING
        self.server.sendall(NONCE)
        assert read(self.client, 4) == NONCE
        return self

    def ask(self, kind: str, *fields: str | int | bytes | Sequence[str]) -> None:
        """Send from client to server, and await it at the server."""
        said = query(kind, *fields)
        self.client.sendall(said)
        assert read(self.server, len(said)) == said

    def answer(self, said: bytes) -> None:
        """Send from server to client, and await it at the client."""
        self.server.sendall(said)
        assert read(self.client, len(said)) == said
