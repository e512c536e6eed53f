"""Give freed memory back to the system, which the C library keeps: a latency may have held 32 MiB in each direction."""

from __future__ import annotations

import asyncio
import ctypes
from collections.abc import Callable

MUCH_BYTES = 1 << 20
"""A direction that has held so much is worth a trim when it is empty."""

TRIM_AFTER_SECONDS = 0.5
"""A trim takes some milliseconds for each 100 MB; connections that end together share one."""


class Trimmer:
    """Trims soon after it was asked to."""

    def __init__(self, loop: asyncio.AbstractEventLoop, trim: Callable[[], None] | None = None) -> None:
        self._loop = loop
        self._trim = trim or _trim
        self._is_due = False

    def ask(self) -> None:
        """Memory has become free."""
        if not self._is_due:
            self._is_due = True
            self._loop.call_later(TRIM_AFTER_SECONDS, self._now)

    def _now(self) -> None:
        self._is_due = False
        self._trim()


def _trim() -> None:
    # glibc only; other C libraries give large blocks back themselves.
    malloc_trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if malloc_trim is not None:
        malloc_trim(0)
