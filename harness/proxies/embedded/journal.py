"""What happened to connections: a bounded log that answers "did the fault touch anything" from the wire."""

from __future__ import annotations

from collections import deque
from typing import Any

from harness import clock

KEPT_EVENTS = 50_000
"""A connection makes five events, a query of a store two; the oldest are dropped, and `dropped` says how many."""


class Journal:
    """Events in their order, each with a number and a time on CLOCK_MONOTONIC in nanoseconds."""

    def __init__(self, kept: int = KEPT_EVENTS) -> None:
        self._events: deque[dict[str, Any]] = deque(maxlen=kept)
        self._next = 1

    def note(self, event: str, **details: Any) -> None:
        """Add an event."""
        self._events.append({"number": self._next, "time_ns": clock.now_ns(), "event": event, **details})
        self._next += 1

    def since(self, number: int, proxy: str | None = None) -> list[dict[str, Any]]:
        """All kept events after that number, of one proxy or of all."""
        return [e for e in self._events if e["number"] > number and proxy in (None, e.get("proxy"))]

    @property
    def last(self) -> int:
        """The number of the newest event; 0 if there was none."""
        return self._next - 1

    @property
    def dropped(self) -> int:
        """How many of the oldest events are no longer kept."""
        return self.last - len(self._events)
