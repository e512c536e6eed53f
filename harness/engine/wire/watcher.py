"""The entrance of a pipeline: it logs messages, and applies toxics on messages and breakpoints to them."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from harness.engine.chunk import Chunk, Item
from harness.engine.script import RECEIVE, Script, Send, Signal, Site, Wait
from harness.engine.wire.decoder import Decoder, Message, Piece, queries, replies
from harness.engine.wire.fates import Ending, Fates
from harness.engine.wire.grammar import GRAMMARS
from harness.engine.wire.log import LoggedMessage
from harness.engine.wire.rules import CUT_AFTER, CUT_BEFORE, DROP, HOLD, SILENCE, Hit, cutting

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
        log: writes a message into the log of messages, with the time at which its first byte arrived.
        on_opaque: called once, when nothing is decoded any more.
        expected: the queries that are not answered yet, oldest first.
    """

    codes: Mapping[int, str]
    hits: Callable[[Message], Iterable[Hit]]
    stands: Callable[[Hit], bool]
    breakpoint: Callable[[Message], Breakpoint | None]
    note: Callable[..., None]
    log: Callable[[Message, int], LoggedMessage]
    on_opaque: Callable[[], None] = lambda: None
    expected: deque[Message] = field(default_factory=deque)

    def __post_init__(self) -> None:
        self.decoders = {"upstream": Decoder(queries(self.codes)), "downstream": Decoder(replies(self.expected))}
        ending = Ending()
        self.fates = {direction: Fates(ending) for direction in self.decoders}

    def give_up(self, why: str) -> None:
        """Note that nothing is decoded any more."""
        self.note("transparent", why=why)
        self.on_opaque()

    @property
    def transparent(self) -> bool:
        """Whether nothing is decoded, so that bytes may go straight through."""
        return any(decoder.transparent for decoder in self.decoders.values())


class Watcher:
    """One direction of a conversation."""

    def __init__(self, conversation: Conversation, direction: str) -> None:
        self._conversation = conversation
        self._decoder = conversation.decoders[direction]
        self._fates = conversation.fates[direction]
        self._hit: Hit | None = None
        self._logged: LoggedMessage | None = None
        self._begun_ns = 0  # when the first byte of the next message arrived
        self._passing = bytearray()
        self._passed = 0  # how many bytes were sent on, with those that are about to be
        self._silenced_by = ""

    @property
    def transparent(self) -> bool:
        # Bytes kept before the other direction became transparent must go first.
        return self._conversation.transparent and not self._decoder.keeps and not self._silenced_by

    def script(self, site: Site) -> Script:
        """The script of the entrance."""
        while True:
            item: Item = yield RECEIVE
            if item is None:
                yield from self._leave(site)
                return
            if self._logged is not None or not self._decoder.keeps:
                self._begun_ns = item.time_ns
            for piece in self._pieces(item.data):
                if (yield from self._pass(piece, item.time_ns, site)):
                    return
            yield from self._send(item.time_ns)

    def _leave(self, site: Site) -> Script:
        """The stream has ended; where a toxic swallows all, its end is swallowed too."""
        if self._silenced_by:
            yield Wait(None)
            return
        rest = self._decoder.rest()
        self._passing += rest
        self._passed += len(rest)
        yield from self._send(site.time_ns)
        yield Send(None)

    def _send(self, time_ns: int) -> Script:
        """Send the bytes of one read in one piece: torch's libuv server refuses a greeting in two pieces."""
        if self._passing:
            data, self._passing = bytes(self._passing), bytearray()
            yield Send(Chunk(data, time_ns, self._passed - len(data)))

    def _pieces(self, data: bytes) -> list[Piece]:
        was = self._conversation.transparent
        if was:
            self._decoder.give_up("the other direction is transparent")
            return [Piece(self._decoder.rest() + data)]
        pieces = self._decoder.feed(data)
        if self._decoder.transparent:
            self._conversation.give_up(self._decoder.transparent)
        return pieces

    def _pass(self, piece: Piece, time_ns: int, site: Site) -> Any:
        """Handle a piece; whether the stream has ended with it."""
        message = piece.message
        if message is None:
            if self._logged is not None:  # nobody knows where it ends
                self._logged.end = self._passed + len(piece.data)
            self._hit = self._logged = None
        elif piece.first:
            self._begin(message, time_ns)
        if self._silenced_by:
            return False
        if message is not None and piece.first:
            self._hit = self._hit_of(message)
            if self._hit is not None and self._hit.what in (HOLD, CUT_BEFORE):
                yield from self._send(time_ns)
            yield from self._hold(site)
            if self._hit is not None and self._hit.what == CUT_BEFORE:
                return (yield from self._cut(self._hit, site))
            if message.side == "query" and GRAMMARS[message.kind].reply and not self._drops():
                self._expect_reply(message)
        if not self._drops():
            self._passing += piece.data
            self._passed += len(piece.data)
        return (yield from self._end(message, time_ns, site)) if message is not None and piece.last else False

    def _expect_reply(self, query: Message) -> None:
        expected = self._conversation.expected
        assert self._logged is not None
        expected.append(replace(query, asked=self._logged.number))
        if len(expected) > MOST_EXPECTED and not self._conversation.transparent:
            why = f"more than {MOST_EXPECTED} queries without a reply"
            self._decoder.give_up(why)
            self._conversation.give_up(why)
            expected.clear()

    def _drops(self) -> bool:
        return self._hit is not None and self._hit.what == DROP

    def _begin(self, message: Message, time_ns: int) -> None:
        self._logged = self._conversation.log(message, self._begun_ns)
        self._begun_ns = time_ns
        if self._silenced_by:
            self._fates.drop(self._logged, self._silenced_by)
        else:
            self._fates.begin(self._logged, self._passed)

    def _hit_of(self, message: Message) -> Hit | None:
        assert self._logged is not None
        found = None
        for found in self._conversation.hits(message):
            self._conversation.note("fired", toxic=found.toxic, kind=found.kind, what=found.what, message=message.kind)
        if found is not None and found.what == DROP:
            self._fates.drop(self._logged, found.toxic)
        return found

    def _hold(self, site: Site) -> Any:
        """Hold the message, and so all bytes behind it, for its duration or until the toxic is removed."""
        hit, logged, since_ns = self._hit, self._logged, site.time_ns
        if hit is None or hit.what != HOLD or logged is None:
            return
        logged.by = hit.toxic
        until_ns = None if hit.duration_ns is None else site.time_ns + hit.duration_ns
        while self._conversation.stands(hit) and (until_ns is None or site.time_ns < until_ns):
            yield Wait(None if until_ns is None else until_ns - site.time_ns)
        logged.held_ns = site.time_ns - since_ns

    def _end(self, message: Message, time_ns: int, site: Site) -> Any:
        hit, self._hit = self._hit, None
        if self._logged is not None:
            self._logged.end = self._passed
            self._logged = None
        reached = self._conversation.breakpoint(message)
        if reached is not None or (hit is not None and hit.what == CUT_AFTER):
            yield from self._send(time_ns)
        if reached is not None:
            yield Signal(reached.act)
            while reached.holds():
                yield Wait(None)
        if hit is not None and hit.what == CUT_AFTER:
            return (yield from self._cut(hit, site))
        return False

    def _cut(self, hit: Hit, site: Site) -> Any:
        """End the stream, or swallow all that follows; whether it has ended."""
        if hit.how == SILENCE:
            self._silenced_by = hit.toxic
            if self._logged is not None:
                self._fates.drop(self._logged, hit.toxic)
            return False
        self._fates.cut_by(hit.toxic)
        yield from cutting(hit.how, site)
        return True
