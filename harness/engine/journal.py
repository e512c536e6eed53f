"""The event log: what happened to connections, as evidence that a fault touched something."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from collections import deque
from typing import Any

from harness import clock
from harness.engine.wire.log import LoggedMessage

KEPT_EVENTS = 50_000
"""A connection makes five events, a query of the store two; the oldest are dropped and counted in `dropped`."""

KEPT_KEY_CHARACTERS = 32 << 20
"""Of all keys of the store in kept events. One message may name 128 Ki keys; most events name one of 50 characters."""


class Journal:
    """Events in their order, each with a number and a time on CLOCK_MONOTONIC in nanoseconds."""

    def __init__(self, kept: int = KEPT_EVENTS) -> None:
        self._kept = kept
        self._events: deque[dict[str, Any] | LoggedMessage] = deque()
        self._key_characters = 0
        self._next = 1
        self._news: asyncio.Event | None = None

    def note(self, event: str, **details: Any) -> None:
        """Add an event."""
        self._append({"number": self._next, "time_ns": clock.now_ns(), "event": event, **details})

    def add(self, message: LoggedMessage) -> None:
        """Add the event of a message, and give the message its number."""
        message.number = self._next
        self._append(message)

    def _append(self, event: dict[str, Any] | LoggedMessage) -> None:
        self._events.append(event)
        self._next += 1
        self._key_characters += _characters(event)
        while len(self._events) > self._kept or self._key_characters > KEPT_KEY_CHARACTERS:
            self._key_characters -= _characters(self._events.popleft())
        if self._news is not None:
            self._news.set()
            self._news = None

    def since(self, number: int, proxy: str | None = None) -> list[dict[str, Any]]:
        """All kept events after that number, of one proxy or of all."""
        kept = itertools.islice(self._events, max(0, number - self.dropped), None)
        events = (one.event() if isinstance(one, LoggedMessage) else one for one in kept)
        return [event for event in events if proxy in (None, event.get("proxy"))]

    async def more_than(self, number: int, within_seconds: float) -> None:
        """Return when there is an event after that number, or after the time limit."""
        if self.last <= number and within_seconds > 0:
            self._news = self._news or asyncio.Event()
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(self._news.wait(), within_seconds)

    @property
    def last(self) -> int:
        """The number of the newest event; 0 if there was none."""
        return self._next - 1

    @property
    def dropped(self) -> int:
        """How many of the oldest events are no longer kept."""
        return self.last - len(self._events)


def _characters(event: dict[str, Any] | LoggedMessage) -> int:
    return event.key_characters if isinstance(event, LoggedMessage) else 0
