"""The store's messages as they pass a link: there is no framing, so they are read field by field."""

from __future__ import annotations

import socket
import threading
import time
from collections import deque
from collections.abc import Iterator
from fnmatch import fnmatchcase
from typing import Any

from harness.reproduce.parts.link import Connection, Cut, LinkFault
from harness.reproduce.parts.scene import Moment

# By the code of a query: its fields and its reply's. u is 32 bits, i 64 bits, k a key, v a value, K a count and keys,
# P a count and pairs, b a byte, V a value for each key, q a count and, if it is not 0, a value, L a count and keys.
GRAMMAR = {
    "validate": ("u", ""), "set": ("kv", ""), "compare_set": ("kvv", "v"), "get": ("k", "v"), "add": ("ki", "i"),
    "check": ("K", "b"), "wait": ("K", "b"), "getnumkeys": ("", "i"), "delete_key": ("k", "i"), "append": ("kv", ""),
    "multi_get": ("K", "V"), "multi_set": ("P", ""), "cancel_wait": ("", "b"), "ping": ("u", "u"),
    "queue_push": ("kv", ""), "queue_pop": ("k", "q"), "queue_len": ("k", "i"), "list_keys": ("", "L"),
    "barrier": ("ki", "b"),
}  # fmt: skip
CANCELLED = 1  # the answer to a cancel; the wait that it cancelled gets none


class Message(bytes):
    """The bytes of one message."""

    side, kind = "", ""
    keys: tuple[str, ...] = ()

    def fits(self, side: str, kind: str, key: str) -> bool:
        found = any(fnmatchcase(one, key) or fnmatchcase(one[1:], key) for one in self.keys)
        return self.side == side and kind in ("*", self.kind) and (key == "*" or found)


class Incomplete(Exception):
    """More bytes are needed."""


class Reader:
    """Reads fields from the begin of some bytes."""

    def __init__(self, data: bytes) -> None:
        self.data, self.at = data, 0

    def take(self, count: int) -> bytes:
        if self.at + count > len(self.data):
            raise Incomplete
        self.at += count
        return self.data[self.at - count : self.at]

    def number(self) -> int:
        return int.from_bytes(self.take(8), "little")

    def value(self) -> bytes:
        return self.take(self.number())

    def query(self) -> tuple[str, tuple[str, ...]]:
        kind = list(GRAMMAR)[self.take(1)[0]]
        keys: list[str] = []
        for field in GRAMMAR[kind][0]:
            if field in "ui":
                self.take(4 if field == "u" else 8)
            elif field == "v":
                self.value()
            else:
                for _ in range(1 if field == "k" else self.number()):
                    keys.append(self.value().decode())
                    if field == "P":
                        self.value()
        return kind, tuple(keys)

    def reply(self, field: str, keys: int) -> None:
        if field in "bui":
            self.take({"b": 1, "u": 4, "i": 8}[field])
        elif field == "q":
            if self.number():
                self.value()
        else:
            for _ in range({"v": 1, "V": keys}[field] if field != "L" else self.number()):
                self.value()


class Messages:
    """Both directions of one connection."""

    def __init__(self) -> None:
        self.rest: dict[str, bytes] = {"upstream": b"", "downstream": b""}
        self.asked: deque[Message] = deque()  # queries that are not answered yet

    def split(self, direction: str, data: bytes) -> Iterator[bytes]:
        self.rest[direction] += data
        while self.rest[direction]:
            reader = Reader(self.rest[direction])
            try:
                kind, keys = reader.query() if direction == "upstream" else self.reply(reader)
            except Incomplete:
                break
            message = Message(self.rest[direction][: reader.at])
            message.side, message.kind, message.keys = "query" if direction == "upstream" else "reply", kind, keys
            self.rest[direction] = self.rest[direction][reader.at :]
            yield message
        if not data:
            yield data

    def reply(self, reader: Reader) -> tuple[str, tuple[str, ...]]:
        query = self.asked[0]
        following = self.asked[1].kind if len(self.asked) > 1 else ""
        if query.kind == "wait" and reader.data[0] == CANCELLED and following == "cancel_wait":
            query = self.asked[1]
        reader.reply(GRAMMAR[query.kind][1], len(query.keys))
        while self.asked.popleft() is not query:
            pass
        return query.kind, query.keys

    def send(self, connection: Connection, piece: bytes, target: socket.socket) -> None:
        """Send it; where the play waits for messages, nothing else passes before it has acted on this one."""
        if isinstance(piece, Message) and piece.side == "query" and GRAMMAR[piece.kind][1]:
            self.asked.append(piece)
        if connection.link.events is None or not isinstance(piece, Message):
            target.sendall(piece)
            return
        seen = threading.Event()
        connection.go.clear()
        target.sendall(piece)
        facts = {"outcome": "passed", "message": piece, "time": time.monotonic(), "seen": seen}
        connection.link.events.put((connection.link, facts))
        seen.wait(1)
        connection.go.set()


def when_message(
    side: str, kind: str, key: str = "*", ranks: tuple[int, ...] = (), count: int = 1, plus: float = 0.0
) -> Moment:
    """When the count-th query of a kind, or the reply to such a query, has passed the links of these ranks."""

    def came(play: Any) -> float | None:
        found = [passed for rank, message, passed in play.messages if message.fits(side, kind, key)
                 and (not ranks or rank in ranks)]  # fmt: skip
        return found[count - 1] + plus if len(found) >= count else None

    return came


class MessageFault(LinkFault):
    """Acts on `times` messages of a kind (0 is all), from the nth on."""

    def __init__(
        self, name: str, side: str, kind: str, key: str = "*", nth: int = 1, times: int = 1, **others: Any
    ) -> None:
        super().__init__(name, **others)
        self.side, self.kind, self.key, self.nth, self.times = side, kind, key, nth, times
        self.count = 0

    def shape(self, connection: Connection, pieces: Iterator[bytes], arrived: float) -> Iterator[bytes]:
        for piece in pieces:
            if isinstance(piece, Message) and piece.fits(self.side, self.kind, self.key):
                self.count += 1
                if self.nth <= self.count and (not self.times or self.count < self.nth + self.times):
                    self.acted = True
                    yield from self.hit(piece)
                    continue
            yield piece

    def hit(self, message: Message) -> Iterator[bytes]:
        raise NotImplementedError


class Drop(MessageFault):
    """The message is swallowed."""

    def hit(self, message: Message) -> Iterator[bytes]:
        return iter(())


class Hold(MessageFault):
    """The message waits, and all bytes behind it."""

    def __init__(self, name: str, side: str, kind: str, duration: float | None = None, **others: Any) -> None:
        super().__init__(name, side, kind, **others)
        self.duration = duration

    def hit(self, message: Message) -> Iterator[bytes]:
        self.over.wait(self.duration)
        yield message


class CutAt(MessageFault):
    """The connection ends before the message, or after it."""

    def __init__(self, name: str, side: str, kind: str, when: str, how: str, **others: Any) -> None:
        super().__init__(name, side, kind, **others)
        self.when, self.how = when, how

    def hit(self, message: Message) -> Iterator[bytes]:
        if self.when == "after":
            yield message
        raise Cut(self.how)
