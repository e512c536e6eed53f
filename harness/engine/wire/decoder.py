"""One direction of a store's connection, split into messages as the bytes arrive, without losing or changing any.

A message's head, with its kind and its keys, is kept until it is complete; its values pass as they arrive.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Generator, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from harness.engine.wire.grammar import CANCELLED, GRAMMARS, LONGEST_KEY, LONGEST_VALUE, MAGIC, MOST_KEYS

MOST_KEPT_BYTES = 1024 * 1024
"""The longest head that is kept."""


@dataclass(frozen=True)
class Message:
    """A query or a reply.

    Attributes:
        side: `query` or `reply`.
        kind: the name of the query, in lower case.
        keys: as on the wire; a reply has those of its query.
        number: the argument of a ping or an add.
        asked: the number of its query in the log of messages; None if it is not known.
    """

    side: str
    kind: str
    keys: tuple[str, ...] = ()
    number: int | None = None
    asked: int | None = field(default=None, compare=False)


@dataclass
class Piece:
    """Bytes of one message; without a message when the decoder is transparent.

    Attributes:
        first, last: whether it begins its message, and ends it.
    """

    data: bytes
    message: Message | None = None
    first: bool = False
    last: bool = False


@dataclass(frozen=True)
class Need:
    """Read this many bytes; they are kept until all have arrived."""

    count: int


@dataclass(frozen=True)
class Skip:
    """Pass this many bytes on without looking at them."""

    count: int


@dataclass(frozen=True)
class Head:
    """The head has been read; it is this message."""

    message: Message


class Done:
    """The message ends here."""


Wish: TypeAlias = "Need | Skip | Head | Done"
Reading: TypeAlias = Generator[Wish, bytes, Any]


class NotAStore(Exception):
    """The bytes are not the traffic of a known store; the text says why."""


class Decoder:
    """Bytes in, pieces out; all bytes come out, in order.

    Attributes:
        transparent: why it no longer decodes; empty while it does.
    """

    def __init__(self, reading: Reading) -> None:
        self.transparent = ""
        self._reading = reading
        self._wish: Wish = next(reading)
        self._kept = bytearray()
        self._read = 0  # how many of the kept bytes have been read
        self._message: Message | None = None

    def feed(self, data: bytes) -> list[Piece]:
        """Take bytes; the pieces that are complete now."""
        if self.transparent:
            return [Piece(data)]
        self._kept += data
        pieces: list[Piece] = []
        try:
            while self._step(pieces):
                pass
            if len(self._kept) > MOST_KEPT_BYTES:
                raise NotAStore(f"a message whose head is longer than {MOST_KEPT_BYTES} bytes")
        except NotAStore as reason:
            self.give_up(str(reason))
            pieces.append(Piece(self.rest()))
        return pieces

    def give_up(self, reason: str) -> None:
        """Stop decoding."""
        self.transparent = self.transparent or reason

    @property
    def keeps(self) -> bool:
        """Whether it keeps bytes that have not come out yet."""
        return bool(self._kept)

    def rest(self) -> bytes:
        """The kept bytes, at the end of the stream."""
        rest, self._kept = bytes(self._kept), bytearray()
        return rest

    def _step(self, pieces: list[Piece]) -> bool:
        wish, answer = self._wish, b""
        if isinstance(wish, Need):
            if len(self._kept) - self._read < wish.count:
                return False
            answer = bytes(self._kept[self._read : self._read + wish.count])
            self._read += wish.count
        elif isinstance(wish, Head):
            self._message = wish.message
            pieces.append(self._piece(self._read, first=True))
        elif isinstance(wish, Skip):
            taken = min(wish.count, len(self._kept) - self._read)
            if self._read + taken:
                pieces.append(self._piece(self._read + taken))
            if taken < wish.count:
                self._wish = Skip(wish.count - taken)
                return False
        else:
            pieces[-1].last = True
        self._wish = self._reading.send(answer)
        return True

    def _piece(self, count: int, first: bool = False) -> Piece:
        data = bytes(self._kept[:count])
        del self._kept[:count]
        self._read = 0
        return Piece(data, self._message, first)


# -- the fields of a query --------------------------------------------------------------------------------------------


def queries(codes: Mapping[int, str]) -> Reading:
    """Read a client's direction, from its first byte on."""
    yield from _greeting(codes)
    while True:
        code = (yield Need(1))[0]
        kind = codes.get(code, f"code {code}")
        if kind not in GRAMMARS:
            raise NotAStore(f"a query that is not known: {kind}")
        yield from _query(kind, GRAMMARS[kind].query)


def _greeting(codes: Mapping[int, str]) -> Reading:
    """The first query; it passes byte by byte, since the sender may be another program that waits for an answer."""
    stranger = NotAStore("a client that does not begin as a store's does")
    if codes.get((yield Need(1))[0]) != "validate":
        raise stranger
    yield Head(Message("query", "validate"))
    for byte in MAGIC.to_bytes(4, "little"):
        if (yield Need(1))[0] != byte:
            raise stranger
        yield Skip(0)
    yield Done()


def _query(kind: str, fields: str) -> Reading:
    keys: list[str] = []
    number: int | None = None
    at = 0
    while at < len(fields) and fields[at] != "v":
        field, at = fields[at], at + 1
        if field == "m":
            if _int((yield Need(4))) != MAGIC:
                raise NotAStore("a client with another magic number")
        elif field in "ui":
            number = _int((yield Need(4 if field == "u" else 8)), signed=field == "i")
        elif field == "k":
            keys.append((yield from _key()))
        else:
            for _ in range((yield from _count(MOST_KEYS))):
                keys.append((yield from _key()))
                if field == "P":
                    yield Need((yield from _count(LONGEST_VALUE)))
    yield Head(Message("query", kind, tuple(keys), number))
    for _ in fields[at:]:
        yield Skip((yield from _count(LONGEST_VALUE)))
    yield Done()


# -- the fields of a reply --------------------------------------------------------------------------------------------


def replies(expected: deque[Message]) -> Reading:
    """Read a server's direction: replies to the queries that were passed to it, oldest first."""
    while True:
        first = yield Need(1)
        query = _answered(expected, first[0])
        yield Head(Message("reply", query.kind, query.keys, query.number, query.asked))
        yield from _reply(GRAMMARS[query.kind].reply, first, len(query.keys))
        yield Done()


def _answered(expected: deque[Message], first: int) -> Message:
    if not expected:
        raise NotAStore("a reply that no query asked for")
    query = expected.popleft()
    cancelled = GRAMMARS[query.kind].waits and first == CANCELLED
    if cancelled and expected and expected[0].kind == "cancel_wait":
        return expected.popleft()
    return query


def _reply(field: str, first: bytes, keys: int) -> Reading:
    if field in "iu":
        yield Skip(7 if field == "i" else 3)
    elif field != "b":
        length = _int(first + (yield Need(7)))
        if field == "q":
            length = (yield from _count(LONGEST_VALUE)) if length else 0
        if field == "L":
            for _ in range(_within(length, MOST_KEYS)):
                yield Skip((yield from _count(LONGEST_KEY)))
            length = 0
        yield Skip(_within(length, LONGEST_VALUE))
        if field == "V":
            for _ in range(keys - 1):
                yield Skip((yield from _count(LONGEST_VALUE)))


def _key() -> Reading:
    length = yield from _count(LONGEST_KEY)
    return (yield Need(length)).decode("utf-8", "backslashreplace")


def _count(most: int) -> Reading:
    return _within(_int((yield Need(8))), most)


def _within(count: int, most: int) -> int:
    if count > most:
        raise NotAStore(f"a length of {count}")
    return count


def _int(data: bytes, signed: bool = False) -> int:
    return int.from_bytes(data, "little", signed=signed)
