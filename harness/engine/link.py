"""One direction of one connection: read from a socket, through the pipeline, into the other socket."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from typing import Protocol

from harness import clock
from harness.engine.chunk import CHUNK_BYTES, Item
from harness.engine.memory import MUCH_BYTES
from harness.engine.peer import Peer
from harness.engine.pipeline import Pipeline
from harness.engine.toxic_stage import ConnectionContext, Toxic


class Owner(Protocol):
    """The connection, as its links see it."""

    def link_read(self, link: Link) -> None:
        """The first bytes have arrived."""

    def link_over(self, link: Link, cause: str) -> None:
        """Its source has ended; earlier bytes may still be under way."""

    def link_ended(self, link: Link, cause: str) -> None:
        """Nothing more will be written, for this cause."""

    def link_freed(self) -> None:
        """It has held many bytes, and holds none any more."""


class Link:
    """Reads only as much as the pipeline takes, so that a stalled receiver stalls its sender, as without a proxy.

    Attributes:
        read_bytes, written_bytes: so far.
        ended_by: why its source ended; empty while it has not.
    """

    def __init__(
        self,
        owner: Owner,
        direction: str,
        source: Peer,
        destination: Peer,
        loop: asyncio.AbstractEventLoop,
        toxics: Iterable[Toxic],
        context: ConnectionContext,
    ) -> None:
        self.direction = direction
        self.source = source
        self.destination = destination
        self.read_bytes = self.written_bytes = 0
        self.ended_by = ""
        self.done = False
        self._owner = owner
        self._loop = loop
        self._fates = context.fates
        self._pending: memoryview | None = None
        self._pending_at: int | None = None
        self._ending = False
        self._held_much = False
        self._timer: asyncio.TimerHandle | None = None
        self._timer_due_ns: int | None = None
        self.pipeline = Pipeline(toxics, self, context, clock.now_ns())

    def start(self) -> None:
        """Begin to read; the timers of toxics already run."""
        self.settle()

    def change(self, change: Callable[[Pipeline, int], None]) -> None:
        """Apply a change of toxics; done when this returns."""
        if not self.done:
            now_ns = clock.now_ns()
            change(self.pipeline, now_ns)
            self.settle(now_ns)

    def source_closed(self, cause: str) -> None:
        """The proxy has closed the source itself: bytes already read are still delivered, then the end."""
        if not self.ended_by and not self.done:
            self._end(cause)
            self.settle()

    def abandon(self) -> None:
        """Deliver nothing more."""
        self.done = True
        self._pending = None
        if self._fates is not None:
            self._fates.close()
        self.pipeline.discard()
        if self._held_much:
            self._held_much = False
            self._owner.link_freed()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def settle(self, now_ns: int | None = None) -> None:
        """Advance the pipeline; then wait for bytes, for room, or for the next due time."""
        self.pipeline.advance(clock.now_ns() if now_ns is None else now_ns)
        if self.done:
            return
        self._watch_memory()
        self.source.watch_reads(not self.ended_by and self.pipeline.has_room(), self._on_readable)
        due_ns = self.pipeline.due_ns
        if due_ns != self._timer_due_ns:
            self._set_timer(due_ns)

    def _watch_memory(self) -> None:
        held = self.read_bytes - self.written_bytes
        if held > MUCH_BYTES:
            self._held_much = True
        elif self._held_much and not held:
            self._held_much = False
            self._owner.link_freed()

    # -- reading -------------------------------------------------------------------------------------------------------

    def _on_readable(self) -> None:
        try:
            data = self.source.sock.recv(CHUNK_BYTES)
        except (BlockingIOError, InterruptedError):
            return
        except OSError as error:
            self._source_over(f"{self.source.name} reset ({error.strerror})")
            self.settle()
            return
        if not data:
            self._source_over(f"{self.source.name} closed")
        else:
            if not self.read_bytes:
                self._owner.link_read(self)
            self.read_bytes += len(data)
            if self.pipeline.is_bare():
                self._write(data)
                if self._pending is not None:
                    self.settle()
                return
            now_ns = clock.now_ns()
            self.pipeline.feed(data, now_ns)
            self.settle(now_ns)  # so that a toxic's own measure of its delay begins where the delay itself does
            return
        self.settle()

    def _source_over(self, cause: str) -> None:
        self._owner.link_over(self, cause)
        self._end(cause)

    def _end(self, cause: str) -> None:
        self.ended_by = cause
        self.source.watch_reads(False, self._on_readable)
        self.pipeline.feed(b"", clock.now_ns())

    # -- time ----------------------------------------------------------------------------------------------------------

    def _set_timer(self, due_ns: int | None) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer_due_ns = due_ns
        # The loop's clock is CLOCK_MONOTONIC too.
        self._timer = None if due_ns is None else self._loop.call_at(due_ns / 1e9, self._on_time)

    def _on_time(self) -> None:
        self._timer, self._timer_due_ns = None, None
        self.settle()

    # -- writing: implements `Sink` -----------------------------------------------------------------------------------

    def has_room(self) -> bool:
        return self._pending is None and not self._ending and not self.done

    def put(self, item: Item, now_ns: int) -> None:
        if self.done:
            return
        if item is not None:
            self._write(item.data, item.at)
            return
        self._ending = True
        if self._pending is None:
            self._owner.link_ended(self, self.ended_by or "toxic")

    def _write(self, data: bytes | memoryview, at: int | None = None) -> None:
        """Write what can be written now; `at` is its place in the stream, None where no message is followed."""
        now_ns = 0 if at is None else clock.now_ns()  # before: the receiver may run before this process goes on
        try:
            sent = self.destination.sock.send(data)
        except (BlockingIOError, InterruptedError):
            sent = 0
        except OSError as error:
            self._owner.link_ended(self, f"{self.destination.name} gone ({error.strerror})")
            return
        self.written_bytes += sent
        self._pending_at = None if at is None else at + sent
        if self._fates is not None and self._pending_at is not None:
            self._fates.sent(self._pending_at, now_ns)
        self._pending = memoryview(data)[sent:] if sent < len(data) else None
        self.destination.watch_writes(self._pending is not None, self._on_writable)

    def _on_writable(self) -> None:
        assert self._pending is not None
        self._write(self._pending, self._pending_at)
        if self._pending is None and self._ending and not self.done:
            self._owner.link_ended(self, self.ended_by or "toxic")
        elif self._pending is None and not self.done:
            self.settle()
