"""What the engine reports on stderr: bounded, and never waited for, whether anybody reads it or not."""

from __future__ import annotations

import asyncio
import logging
import os
import select
from typing import Any

from harness import clock
from harness.engine.descriptors import are_exhausted_by

STDERR = 2
MOST_MESSAGES = 20
"""In each period; the others are counted."""
PERIOD_NS = 10_000_000_000
MOST_BYTES = 4096
"""Of a message. A pipe that is writable takes so many without blocking (PIPE_BUF)."""


class BoundedHandler(logging.Handler):
    """Writes to a descriptor if it takes bytes at once, and otherwise counts what it dropped.

    The descriptor stays blocking: its other end may be shared with other processes, such as a terminal.
    """

    def __init__(self, descriptor: int = STDERR) -> None:
        super().__init__(logging.WARNING)
        self.setFormatter(logging.Formatter("rdzv-harness engine: %(message)s"))
        self._descriptor = descriptor
        self._began_ns = 0
        self._written = 0
        self._dropped = 0
        self._poll = select.poll()
        self._poll.register(descriptor, select.POLLOUT)

    def emit(self, record: logging.LogRecord) -> None:
        if not self._may_write():
            self._dropped += 1
            return
        note = f"rdzv-harness engine: {self._dropped} earlier messages were dropped\n" if self._dropped else ""
        try:
            text = f"{note}{self.format(record)}".encode(errors="replace")
            os.write(self._descriptor, text[: MOST_BYTES - 1] + b"\n")
        except (OSError, ValueError, TypeError):
            self._dropped += 1
        else:
            self._written, self._dropped = self._written + 1, 0

    def _may_write(self) -> bool:
        now_ns = clock.now_ns()
        if now_ns - self._began_ns > PERIOD_NS:
            self._began_ns, self._written = now_ns, 0
        return self._written < MOST_MESSAGES and bool(self._poll.poll(0))


def set_up(loop: asyncio.AbstractEventLoop) -> None:
    """Send all messages of this process through a `BoundedHandler`."""
    logging.basicConfig(handlers=[BoundedHandler()], level=logging.WARNING, force=True)
    # An invalid request is the client's error, and it has its answer.
    logging.getLogger("uvicorn.error").setLevel(logging.ERROR)
    loop.set_exception_handler(_on_error)


def warn(text: str) -> None:
    """Write a warning."""
    logging.getLogger(__name__).warning(text)


def _on_error(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    error = context.get("exception")
    if isinstance(error, OSError) and are_exhausted_by(error):
        warn(f"cannot accept a client of the API: {error.strerror}; raise the limit of open files (ulimit -n)")
    else:
        loop.default_exception_handler(context)
