"""The entrance of a pipeline: it logs messages, and applies toxics on messages and breakpoints to them."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from harness.engine.chunk import Chunk, Item
from harness.engine.script import RECEIVE, Script, Send, Signal, Site, Wait
from harness.engine.wire.decoder import Decoder, Message, Piece, queries, replies
from harness.engine.wire.grammar import GRAMMARS
from harness.engine.wire.rules import CUT_AFTER, CUT_BEFORE, DROP, HOLD, Hit, cutting

MOST_EXPECTED = 65_536
"""Replies that a connection may wait for. A store's client waits for one; what sends more is no client of a store."""


class Breakpoint(Protocol):
    """A call to make when a message has passed, before the next byte does."""

    def act(self) -> None: ...

    def holds(self) -> bool:
        """Whether the stream must still wait."""


@dataclass
class Conversation:
    """The state that the two directions of a connection share.

    Attributes:
        hits: what toxics do to a message; called once for each.
        stands: whether a toxic that holds a message still exists.
        breakpoint: the breakpoint that a message has reached; called once for each that has passed whole.
        note: writes into the event log.
    """

    codes: Mapping[int, str]
    hits: Callable[[Message], Iterable[Hit]]
    stands: Callable[[Hit], bool]
    breakpoint: Callable[[Message], Breakpoint | None]
    note: Callable[..., None]
    expected: deque[Message] = field(default_factory=deque)

    def __post_init__(self) -> None:
        self.decoders = {"upstream": Decoder(queries(self.codes)), "downstream": Decoder(replies(self.expected))}

    @property
    def transparent(self) -> bool:
        """Whether nothing is decoded, so that bytes may go straight through."""
        return any(decoder.transparent for decoder in self.decoders.values())


class Watcher:
    """One direction of a conversation."""

    def __init__(self, conversation: Conversation, direction: str) -> None:
        self._conversation = conversation
        self._decoder = conversation.decoders[direction]
        self._hit: Hit | None = None
        self._passing = bytearray()

    @property
    def transparent(self) -> bool:
        # Bytes kept before the other direction became transparent must go first.
        return self._conversation.transparent and not self._decoder.keeps

    def script(self, site: Site) -> Script:
        """The script of the entrance."""
        while True:
            item: Item = yield RECEIVE
            if item is None:
                if rest := self._decoder.rest():
                    yield Send(Chunk(rest, site.time_ns))
                yield Send(None)
                return
            for piece in self._pieces(item.data):
                if (yield from self._pass(piece, item.time_ns, site)):
                    return
            yield from self._send(item.time_ns)

    def _send(self, time_ns: int) -> Script:
        """Send the bytes of one read in one piece: torch's libuv server refuses a greeting in two pieces."""
        if self._passing:
            data, self._passing = bytes(self._passing), bytearray()
            yield Send(Chunk(data, time_ns))

    def _pieces(self, data: bytes) -> list[Piece]:
        was = self._conversation.transparent
        if was:
            self._decoder.give_up("the other direction is transparent")
            return [Piece(self._decoder.rest() + data)]
        pieces = self._decoder.feed(data)
        if self._decoder.transparent:
            self._conversation.note("transparent", why=self._decoder.transparent)
        return pieces

    def _pass(self, piece: Piece, time_ns: int, site: Site) -> Any:
        """Handle a piece; whether the stream has ended with it."""
        message = piece.message
        if message is None:
            self._hit = None
        elif piece.first:
            self._hit = self._begin(message)
            if self._hit is not None and self._hit.what in (HOLD, CUT_BEFORE):
                yield from self._send(time_ns)
            yield from self._hold(site)
            if self._hit is not None and self._hit.what == CUT_BEFORE:
                yield from cutting(self._hit.how, site)
                return True
            if message.side == "query" and GRAMMARS[message.kind].reply and not self._drops():
                self._expect_reply(message)
        if not self._drops():
            self._passing += piece.data
        return (yield from self._end(message, time_ns, site)) if message is not None and piece.last else False

    def _expect_reply(self, query: Message) -> None:
        expected = self._conversation.expected
        expected.append(query)
        if len(expected) > MOST_EXPECTED and not self._conversation.transparent:
            why = f"more than {MOST_EXPECTED} queries without a reply"
            self._decoder.give_up(why)
            self._conversation.note("transparent", why=why)
            expected.clear()

    def _drops(self) -> bool:
        return self._hit is not None and self._hit.what == DROP

    def _begin(self, message: Message) -> Hit | None:
        details: dict[str, Any] = {"keys": list(message.keys)} if message.keys else {}
        if message.number is not None and message.side == "query":
            details["sent"] = message.number
        self._conversation.note(message.side, kind=message.kind, **details)
        found = None
        for found in self._conversation.hits(message):
            self._conversation.note("fired", toxic=found.toxic, kind=found.kind, what=found.what, message=message.kind)
        return found

    def _hold(self, site: Site) -> Any:
        """Hold the message, and so all bytes behind it, for its duration or until the toxic is removed."""
        hit = self._hit
        if hit is None or hit.what != HOLD:
            return
        until_ns = None if hit.duration_ns is None else site.time_ns + hit.duration_ns
        while self._conversation.stands(hit) and (until_ns is None or site.time_ns < until_ns):
            yield Wait(None if until_ns is None else until_ns - site.time_ns)

    def _end(self, message: Message, time_ns: int, site: Site) -> Any:
        hit, self._hit = self._hit, None
        reached = self._conversation.breakpoint(message)
        if reached is not None or (hit is not None and hit.what == CUT_AFTER):
            yield from self._send(time_ns)
        if reached is not None:
            yield Signal(reached.act)
            while reached.holds():
                yield Wait(None)
        if hit is not None and hit.what == CUT_AFTER:
            yield from cutting(hit.how, site)
            return True
        return False
