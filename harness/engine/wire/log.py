"""The log of messages: each one that was decoded, with what becomes of it, until its proxy is deleted."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any

from harness import clock
from harness.engine.wire.decoder import Message
from harness.values.wire import KEPT

KEPT_MESSAGES = 250_000
"""The oldest beyond them are dropped, and counted by proxy. A kept one takes some 250 bytes."""

KEPT_KEY_CHARACTERS = 8 << 20
"""Of all keys of kept messages; one message may name 128 Ki keys."""

PAGE = 5_000
"""How many one answer of the API has: making it stops all links for some 20 ms."""

UNKNOWN_END = 1 << 62


@dataclass(slots=True, eq=False)
class LoggedMessage:
    """One message, as `harness.values.wire.WireMessage` and in the order of the event log.

    Attributes:
        proxy: the name of its proxy.
        noted_ns: when its head was complete.
        begin, end: where its bytes are in what the entrance of the pipeline has sent on; the end is unknown until its
            last byte has arrived.
    """

    proxy: str
    connection: int
    message: Message
    time_ns: int
    noted_ns: int
    number: int = 0
    fate: str = KEPT
    sent_ns: int | None = None
    held_ns: int = 0
    by: str = ""
    begin: int = 0
    end: int = UNKNOWN_END

    @property
    def key_characters(self) -> int:
        """Of all its keys: what it takes in memory beside its fixed size."""
        return sum(map(len, self.message.keys))

    def event(self) -> dict[str, Any]:
        """Its event in the event log."""
        message = self.message
        event: dict[str, Any] = {"number": self.number, "time_ns": self.noted_ns, "event": message.side}
        event |= {"proxy": self.proxy, "connection": self.connection, "kind": message.kind}
        if message.keys:
            event["keys"] = message.keys
        if message.number is not None and message.side == "query":
            event["sent"] = message.number
        return event

    def to_json(self) -> dict[str, Any]:
        """The JSON of the API; empty fields are left out."""
        message = self.message
        row: dict[str, Any] = {
            "number": self.number,
            "time_ns": self.time_ns,
            "proxy": self.proxy,
            "connection": self.connection,
            "side": message.side,
            "kind": message.kind,
            "fate": self.fate,
        }
        if message.keys:
            row["keys"] = message.keys
        if self.sent_ns is not None:
            row["sent_ns"] = self.sent_ns
        if self.held_ns:
            row["held_ns"] = self.held_ns
        if self.by:
            row["by"] = self.by
        if message.asked is not None:
            row["answers"] = message.asked
        return row


class MessageLog:
    """The messages of all proxies of an engine.

    Args:
        number: gives a message its number, and adds it to the event log.
        kept: how many messages it keeps.
    """

    def __init__(self, number: Callable[[LoggedMessage], None], kept: int = KEPT_MESSAGES) -> None:
        self._number = number
        self.kept = kept
        self._messages: deque[LoggedMessage] = deque()
        self._key_characters = 0
        self._dropped: Counter[str] = Counter()
        self._undecoded: Counter[str] = Counter()

    def add(self, proxy: str, connection: int, message: Message, time_ns: int) -> LoggedMessage:
        """Log a message whose first byte arrived at this time."""
        logged = LoggedMessage(proxy, connection, message, time_ns, clock.now_ns())
        self._number(logged)
        self._messages.append(logged)
        self._key_characters += logged.key_characters
        while len(self._messages) > self.kept or self._key_characters > KEPT_KEY_CHARACTERS:
            self._drop()
        return logged

    def _drop(self) -> None:
        oldest = self._messages.popleft()
        self._key_characters -= oldest.key_characters
        self._dropped[oldest.proxy] += 1

    def gave_up(self, proxy: str) -> None:
        """The traffic of one more connection of a proxy is no longer decoded."""
        self._undecoded[proxy] += 1

    def forget(self, proxy: str) -> None:
        """Drop all of a proxy that is gone: another one may get its name."""
        for counts in (self._dropped, self._undecoded):
            counts.pop(proxy, None)
        if any(one.proxy == proxy for one in self._messages):
            self._messages = deque(one for one in self._messages if one.proxy != proxy)
            self._key_characters = sum(one.key_characters for one in self._messages)

    def page(self, proxies: Collection[str], since: int) -> Mapping[str, Any]:
        """The JSON of the API: messages after that number, of these proxies (of all if none is named).

        `more` says whether others follow, `dropped` how many old ones are no longer kept, `undecoded` on how many
        connections the decoder gave up.
        """
        counts = {"dropped": _of(self._dropped, proxies), "undecoded": _of(self._undecoded, proxies)}
        rows: list[dict[str, Any]] = []
        for one in self._messages:
            if one.number <= since or (proxies and one.proxy not in proxies):
                continue
            if len(rows) == PAGE:
                return {"messages": rows, "more": True, **counts}
            rows.append(one.to_json())
        return {"messages": rows, "more": False, **counts}


def _of(counts: Mapping[str, int], proxies: Collection[str]) -> int:
    return sum(count for proxy, count in counts.items() if not proxies or proxy in proxies)
