"""The API's HTTP connections: their number, the time for a request, and the time for reading an answer are bounded."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable
from typing import ClassVar

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

READ_SECONDS = 15.0
"""Within which a request must be there, from its first byte to the last of its body, as for the real server."""

WRITE_SECONDS = 30.0
"""How long a client may leave an answer unread, as for the real server."""

IDLE_SECONDS = 60
"""How long a connection may wait for its next request, as for the real server; for its first one, READ_SECONDS."""

MOST_HEAD_BYTES = 64 << 10
"""Of a head that is not complete. A path holds two names of 1,024 characters, 12 KiB when encoded."""

MOST_CONNECTIONS = 256
"""To the API. A harness needs three; a client that closes none has the oldest idle ones closed."""

_TOO_SLOW = (408, "Request Timeout", "the request did not arrive in time")


class _Deadline:
    """A call after a time, unless it is stopped before."""

    def __init__(self, loop: asyncio.AbstractEventLoop, seconds: float, call: Callable[[], None]) -> None:
        self._loop = loop
        self._seconds = seconds
        self._call = call
        self._timer: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """Begin, unless it runs already."""
        if self._timer is None:
            self._timer = self._loop.call_later(self._seconds, self._call)

    def stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


class Protocol(H11Protocol):
    """One connection. uvicorn's own limits begin after the first request, and none is for the time of a request."""

    read_seconds: ClassVar[float] = READ_SECONDS

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._reading = _Deadline(self.loop, self.read_seconds, self._on_slow_request)
        self._writing = _Deadline(self.loop, WRITE_SECONDS, transport.abort)
        self._idle_since = self.loop.time()
        self._reading.start()
        if len(self.connections) > MOST_CONNECTIONS:
            self._make_room()

    def connection_lost(self, exc: Exception | None) -> None:
        self._reading.stop()
        self._writing.stop()
        self._unset_keepalive_if_required()
        super().connection_lost(exc)

    # -- requests that do not arrive -----------------------------------------------------------------------------------

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        self._limit_reading(begun=True)

    def on_response_complete(self) -> None:
        super().on_response_complete()
        self._idle_since = self.loop.time()
        self._limit_reading(begun=bool(self.conn.trailing_data[0]))

    def _limit_reading(self, begun: bool) -> None:
        """Limit the time until the request is complete; `begun`: whether its first byte is there."""
        state = self.conn.their_state
        if state is h11.SEND_BODY or (begun and state is h11.IDLE):
            self._reading.start()
        else:
            self._reading.stop()

    def _on_slow_request(self) -> None:
        begun = self.conn.their_state is h11.SEND_BODY or self.conn.trailing_data[0]
        if begun:
            self._refuse(*_TOO_SLOW)
        self.transport.close()

    def send_400_response(self, msg: str) -> None:
        # uvicorn's own would fail for a HEAD, whose answer has no body.
        self._refuse(400, "Bad Request", msg)
        self.transport.close()

    def _refuse(self, status: int, phrase: str, text: str) -> None:
        """Answer a request that the application will never have, unless its answer has begun."""
        if self.conn.our_state in (h11.IDLE, h11.SEND_RESPONSE):
            self.transport.write(
                f"HTTP/1.1 {status} {phrase}\r\nContent-Type: text/plain; charset=utf-8\r\nConnection: close\r\n\r\n"
                f'{{"error": "{text}", "status": {status}}}\n'.encode()
            )

    # -- answers that are not read -------------------------------------------------------------------------------------

    def pause_writing(self) -> None:
        super().pause_writing()
        self._writing.start()

    def resume_writing(self) -> None:
        self._writing.stop()
        super().resume_writing()

    # -- the number of connections -------------------------------------------------------------------------------------

    @property
    def idle_since(self) -> float:
        """Since when it has had no request under way, on the loop's clock; infinite while it has one."""
        return self._idle_since if self.cycle is None or self.cycle.response_complete else math.inf

    def _make_room(self) -> None:
        """Close the connection that has been idle for longest, or this one if all others are in use."""
        others = [one for one in self.connections if isinstance(one, Protocol) and one is not self]
        oldest = min(others, key=lambda one: one.idle_since)
        (self if oldest.idle_since == math.inf else oldest).transport.abort()


def protocol(seconds: float) -> type[asyncio.Protocol]:
    """The class for uvicorn, with that limit in place of READ_SECONDS."""

    class Timed(Protocol):
        read_seconds = seconds

    return Timed
