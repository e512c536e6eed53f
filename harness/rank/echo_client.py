"""The client of the subject `echo`: every question has a deadline, and lost connections are made anew."""

from __future__ import annotations

import encodings.idna  # noqa: F401 (every look-up needs it, and a forked rank would import it anew)
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
    """The base of what a rendezvous raises, named as torch names it."""


class RendezvousTimeoutError(RendezvousError):
    """The deadline has passed."""


class RendezvousConnectionError(RendezvousError):
    """Refused, reset, or not to be resolved."""


class RendezvousStateError(RendezvousError):
    """The other side is no server of ours, or disagrees."""


class RendezvousClosedError(RendezvousError):
    """The rendezvous is closed."""


class DistError(RuntimeError):
    """The base of what a store raises, named as torch names it."""


class DistNetworkError(DistError):
    """A store's connection was lost, or could not be made."""


class DistStoreError(DistError):
    """A store did not answer in time, or could not do it."""


_KINDS: Dict[str, Type[RendezvousError]] = {
    kind.__name__: kind for kind in (RendezvousStateError, RendezvousClosedError, RendezvousTimeoutError)
}


class Client:
    """Asks one endpoint; each question that is under way has a connection of its own, so none holds another up."""

    def __init__(self, endpoint: Endpoint, who: str) -> None:
        self._endpoint = endpoint
        self._who = who
        self._idle: List[Line] = []
        self._open: Set[Line] = set()
        self._lock = threading.Lock()
        self._closed = False

    def ask(self, deadline_ns: int, patient: bool, verb: str, **fields: Any) -> Any:
        """The answer to a question; a `patient` one is asked anew, until the deadline, whenever a connection is lost.

        Raises RendezvousTimeoutError at the deadline, RendezvousConnectionError if the last try was lost (of a patient
        question at the deadline, else at once), RendezvousStateError if the other side is no server of ours or refuses.
        """
        pause_ns = _FIRST_PAUSE_NS
        lost: Optional[_Lost] = None
        while True:
            try:
                return self._ask_once(deadline_ns, {"ask": verb, **fields})
            except _Lost as error:
                lost = error
            except _Unheard as error:
                # A last try that was begun too late to be heard says less than what the one before it met.
                raise (self._connection_error(lost) if lost is not None else error.timeout) from error
            left_ns = deadline_ns - clock.now_ns()
            if left_ns <= 0 or not patient:
                raise self._connection_error(lost) from lost.error
            clock.sleep_ns(min(pause_ns, left_ns))
            pause_ns = min(2 * pause_ns, _LONGEST_PAUSE_NS)

    def close(self) -> None:
        """Close all connections; questions under way end, later ones are refused."""
        with self._lock:
            self._closed = True
            lines, self._open, self._idle = self._open, set(), []
        for line in lines:
            line.close()

    def _connection_error(self, lost: _Lost) -> RendezvousConnectionError:
        error = RendezvousConnectionError(f"{self._who} lost its connection to {self._endpoint}: {lost.error}")
        error.__cause__ = lost.error
        return error

    def _ask_once(self, deadline_ns: int, question: Dict[str, Any]) -> Any:
        line = self._take(deadline_ns)
        try:
            answer = line.ask(question, deadline_ns)
        except TimeoutError as error:
            self._discard(line)
            why = f"{self._endpoint} did not answer {question['ask']!r}: {line.notice or 'no answer'}"
            if line.notice:
                raise RendezvousTimeoutError(why) from error
            raise _Unheard(RendezvousTimeoutError(why)) from error
        except OSError as error:
            self._discard(line)
            raise _Lost(error) from error
        except ValueError as error:
            self._discard(line)
            raise RendezvousStateError(f"{self._endpoint} is no store of this kind: {error}") from error
        with self._lock:
            self._idle.append(line)
        if "error" in answer:
            raise _KINDS.get(answer["error"], RendezvousStateError)(f"{self._who}: {answer['message']}")
        return answer["answer"]

    def _take(self, deadline_ns: int) -> Line:
        """An idle connection that still lives, or a new one."""
        with self._lock:
            idle, self._idle = self._idle, []
            living = [line for line in idle if line.is_quiet()]
            self._idle = living[1:]
            self._open.difference_update(set(idle) - set(living))
        for line in idle:
            if line not in living:
                line.close()
        return living[0] if living else self._connect(deadline_ns)

    def _connect(self, deadline_ns: int) -> Line:
        if self._closed:
            raise RendezvousClosedError(f"{self._who} has let go of {self._endpoint}")
        try:
            line = Line(socket.create_connection(self._endpoint.connectable, _seconds_until(deadline_ns)))
        except TimeoutError as error:
            raise _Unheard(RendezvousTimeoutError(f"{self._endpoint} did not accept a connection")) from error
        except OSError as error:
            raise _Lost(error) from error
        with self._lock:
            self._open.add(line)
        return line

    def _discard(self, line: Line) -> None:
        with self._lock:
            self._open.discard(line)
        line.close()


class _Lost(Exception):
    """A connection that could not be made or was lost."""

    def __init__(self, error: OSError) -> None:
        super().__init__(str(error))
        self.error = error


class _Unheard(Exception):
    """The deadline passed without any sign of the other side."""

    def __init__(self, timeout: RendezvousTimeoutError) -> None:
        super().__init__(str(timeout))
        self.timeout = timeout


class Line:
    """One connection: a question, then its answer."""

    def __init__(self, connection: socket.socket) -> None:
        self._socket = connection
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._received = b""
        self.notice = ""

    def ask(self, question: Dict[str, Any], deadline_ns: int) -> Dict[str, Any]:
        """Raises socket.timeout at the deadline, OSError if the connection is lost, ValueError for nonsense."""
        self.notice = ""
        self._socket.settimeout(_seconds_until(deadline_ns))
        self._socket.sendall((json.dumps(question) + "\n").encode())
        while True:
            answer = self._read_line(deadline_ns)
            if "notice" not in answer:
                return answer
            self.notice = answer["notice"]

    def is_quiet(self) -> bool:
        """Whether it lives: an idle connection that is readable has ended."""
        readable, _, _ = select.select([self._socket], [], [], 0)
        return not readable

    def close(self) -> None:
        with suppress(OSError):
            # Wakes a thread that reads; closing alone would not.
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
    """Never 0, which would mean `do not block`."""
    return max(1e-6, (deadline_ns - clock.now_ns()) / 1e9)
