"""The client of the subject `echo`: each request has a deadline, and a lost connection is replaced."""

from __future__ import annotations

import encodings.idna  # noqa: F401 (every look-up needs it, and each forked rank would import it)
import json
import select
import socket
import threading
from contextlib import suppress
from typing import Any, Dict, List, Optional, Set, Type

from harness import clock
from harness.values.endpoint import Endpoint

_FIRST_PAUSE_NS, _LONGEST_PAUSE_NS = 5_000_000, 50_000_000
_RECEIVE_BYTES = 65536
_SHOWN_BYTES = 60


class RendezvousError(Exception):
    """The base of the errors of a rendezvous, with torch's name."""


class RendezvousTimeoutError(RendezvousError):
    """The deadline has passed."""


class RendezvousConnectionError(RendezvousError):
    """The connection was refused or reset, or the name does not resolve."""


class RendezvousStateError(RendezvousError):
    """The other side is not an echo server, or refuses the request."""


class RendezvousClosedError(RendezvousError):
    """The rendezvous is closed."""


class DistError(RuntimeError):
    """The base of the errors of a store, with torch's name."""


class DistNetworkError(DistError):
    """A store's connection was lost or could not be opened."""


class DistStoreError(DistError):
    """A store did not answer in time, or could not do the request."""


_KINDS: Dict[str, Type[RendezvousError]] = {
    kind.__name__: kind for kind in (RendezvousStateError, RendezvousClosedError, RendezvousTimeoutError)
}


class Client:
    """Sends requests to one endpoint; concurrent requests use separate connections, so none delays another."""

    def __init__(self, endpoint: Endpoint, who: str) -> None:
        self._endpoint = endpoint
        self._who = who
        self._idle: List[Connection] = []
        self._open: Set[Connection] = set()
        self._lock = threading.Lock()
        self._closed = False

    def call(self, deadline_ns: int, retry: bool, verb: str, **fields: Any) -> Any:
        """The answer to a request; with `retry` it is sent again, until the deadline, whenever a connection is lost.

        Raises RendezvousTimeoutError at the deadline; RendezvousConnectionError if the connection of the last try was
        lost (with `retry` at the deadline, else at once); RendezvousStateError if the other side is not an echo server
        or refuses the request.
        """
        pause_ns = _FIRST_PAUSE_NS
        lost: Optional[_ConnectionLost] = None
        while True:
            try:
                return self._try_once(deadline_ns, {"ask": verb, **fields})
            except _ConnectionLost as error:
                lost = error
            except _NoAnswer as error:
                # A last try without time for an answer says less than the error of the try before it.
                raise (self._connection_error(lost) if lost is not None else error.timeout) from error
            left_ns = deadline_ns - clock.now_ns()
            if left_ns <= 0 or not retry:
                raise self._connection_error(lost) from lost.error
            clock.sleep_ns(min(pause_ns, left_ns))
            pause_ns = min(2 * pause_ns, _LONGEST_PAUSE_NS)

    def close(self) -> None:
        """Close all connections; requests in progress end, later ones are refused."""
        with self._lock:
            self._closed = True
            connections, self._open, self._idle = self._open, set(), []
        for connection in connections:
            connection.close()

    def _connection_error(self, lost: _ConnectionLost) -> RendezvousConnectionError:
        error = RendezvousConnectionError(f"{self._who} lost its connection to {self._endpoint}: {lost.error}")
        error.__cause__ = lost.error
        return error

    def _try_once(self, deadline_ns: int, request: Dict[str, Any]) -> Any:
        connection = self._take(deadline_ns)
        try:
            answer = connection.request(request, deadline_ns)
        except TimeoutError as error:
            self._discard(connection)
            text = f"{self._endpoint} did not answer {request['ask']!r}: {connection.notice or 'no answer'}"
            if connection.notice:
                raise RendezvousTimeoutError(text) from error
            raise _NoAnswer(RendezvousTimeoutError(text)) from error
        except OSError as error:
            self._discard(connection)
            raise _ConnectionLost(error) from error
        except ValueError as error:
            self._discard(connection)
            raise RendezvousStateError(f"{self._endpoint} is not an echo server: {error}") from error
        with self._lock:
            self._idle.append(connection)
        if "error" in answer:
            raise _KINDS.get(answer["error"], RendezvousStateError)(f"{self._who}: {answer['message']}")
        return answer["answer"]

    def _take(self, deadline_ns: int) -> Connection:
        """An idle connection that is still open, or a new one."""
        with self._lock:
            idle, self._idle = self._idle, []
            usable = [connection for connection in idle if connection.is_open()]
            self._idle = usable[1:]
            self._open.difference_update(set(idle) - set(usable))
        for connection in idle:
            if connection not in usable:
                connection.close()
        return usable[0] if usable else self._connect(deadline_ns)

    def _connect(self, deadline_ns: int) -> Connection:
        if self._closed:
            raise RendezvousClosedError(f"{self._who} has closed its connections to {self._endpoint}")
        try:
            connection = Connection(socket.create_connection(self._endpoint.connectable, _seconds_until(deadline_ns)))
        except TimeoutError as error:
            raise _NoAnswer(RendezvousTimeoutError(f"{self._endpoint} did not accept a connection")) from error
        except OSError as error:
            raise _ConnectionLost(error) from error
        with self._lock:
            self._open.add(connection)
        return connection

    def _discard(self, connection: Connection) -> None:
        with self._lock:
            self._open.discard(connection)
        connection.close()


class _ConnectionLost(Exception):
    """A connection could not be opened, or was lost."""

    def __init__(self, error: OSError) -> None:
        super().__init__(str(error))
        self.error = error


class _NoAnswer(Exception):
    """The deadline passed without any answer."""

    def __init__(self, timeout: RendezvousTimeoutError) -> None:
        super().__init__(str(timeout))
        self.timeout = timeout


class Connection:
    """One connection: a request, then its answer."""

    def __init__(self, opened: socket.socket) -> None:
        self._socket = opened
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._received = b""
        self.notice = ""

    def request(self, request: Dict[str, Any], deadline_ns: int) -> Dict[str, Any]:
        """Raises socket.timeout at the deadline, OSError for a lost connection, ValueError for an invalid answer."""
        self.notice = ""
        self._socket.settimeout(_seconds_until(deadline_ns))
        self._socket.sendall((json.dumps(request) + "\n").encode())
        while True:
            answer = self._read_line(deadline_ns)
            if "notice" not in answer:
                return answer
            self.notice = answer["notice"]

    def is_open(self) -> bool:
        """Whether it is still open: an idle connection that is readable has ended."""
        readable, _, _ = select.select([self._socket], [], [], 0)
        return not readable

    def close(self) -> None:
        with suppress(OSError):
            # Wakes a thread that is reading; close alone would not.
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()

    def _read_line(self, deadline_ns: int) -> Dict[str, Any]:
        while b"\n" not in self._received:
            self._socket.settimeout(_seconds_until(deadline_ns))
            data = self._socket.recv(_RECEIVE_BYTES)
            if not data:
                raise ConnectionResetError("the other side closed the connection")
            self._received += data
        line, self._received = self._received.split(b"\n", 1)
        return _parse(line)


def _parse(line: bytes) -> Dict[str, Any]:
    shown = f"it answered {line[:_SHOWN_BYTES]!r}"
    try:
        answer = json.loads(line)
    except ValueError as error:
        raise ValueError(shown) from error
    if not isinstance(answer, dict) or not answer.keys() & {"answer", "error", "notice"}:
        raise ValueError(shown)
    return answer


def _seconds_until(deadline_ns: int) -> float:
    """Never 0, which would mean non-blocking."""
    return max(1e-6, (deadline_ns - clock.now_ns()) / 1e9)
