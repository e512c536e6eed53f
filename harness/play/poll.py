"""One poll for everything that a play waits for: what became readable is handled by whom it concerns."""

from __future__ import annotations

import select
from collections.abc import Callable

from harness import clock

TICK_NS = 25_000_000
"""How often the controller wakes at least: what happened without a descriptor that says so is seen within that time."""


class Poll:
    """Descriptors, and who handles each when it is readable.

    Args:
        woke: called after each sleep, before any handler.
    """

    def __init__(self, woke: Callable[[], None]) -> None:
        self._woke = woke
        self._poll = select.poll()
        self._handlers: dict[int, Callable[[], None]] = {}

    def register(self, descriptor: int, handler: Callable[[], None]) -> None:
        """Call `handler` whenever the descriptor is readable; earlier registered ones come first."""
        self._handlers[descriptor] = handler
        self._poll.register(descriptor, select.POLLIN)

    def unregister(self, descriptor: int) -> None:
        del self._handlers[descriptor]
        self._poll.unregister(descriptor)

    def wait(self, until_ns: int | None) -> None:
        """Sleep until something is readable, until then, or for one tick; then handle what is readable.

        Args:
            until_ns: on CLOCK_MONOTONIC; a time that has passed does not sleep, None is one tick.
        """
        now_ns = clock.now_ns()
        tick_ns = now_ns + TICK_NS
        due_ns = tick_ns if until_ns is None else max(now_ns, min(until_ns, tick_ns))
        readable = {descriptor for descriptor, _ in self._poll.poll((due_ns - now_ns) / 1e6)}
        self._woke()
        for descriptor, handler in list(self._handlers.items()):
            if descriptor in readable and descriptor in self._handlers:
                handler()
