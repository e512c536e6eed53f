"""What a handler asks its server outside a join: each question ends within a second, and never holds the store."""

from __future__ import annotations

import threading
import time
from contextlib import suppress
from typing import Optional

from .construct import ConnectedStore
from .failures import Unreachable
from .keys import Incarnation
from .operations import Get
from .resolve import resolve
from .session import FAILURES, close_run, incarnation_at, was_reopened
from .wire import Wire, connect_any

_LONGEST_S = 1.0


class Questions:
    """A connection for questions, opened by the first one.

    Agents ask several times a second whether ranks wait. Over the store's own connection a question would wait behind
    every call of the job, and a server that is frozen would hold an agent for as long as the store's timeout.
    """

    def __init__(self, host: str, port: int, run_id: str) -> None:
        self._host, self._port, self._run_id = host, port, run_id
        self._server: Optional[ConnectedStore] = None
        self._wire: Optional[Wire] = None
        self._next = 0.0
        self._next_reopening = 0.0
        self._turn = threading.Lock()

    def __del__(self) -> None:
        self.close()

    def value_of(self, server: ConnectedStore, incarnation: Incarnation, key: str) -> Optional[str]:
        """The value of a key of this incarnation of the run, empty if it is missing; None if there was no answer.

        After a question without an answer, the next one is asked a second later at the earliest.
        """
        with self._turn:
            deadline = time.monotonic() + _LONGEST_S
            if server is self._server and deadline - _LONGEST_S < self._next:
                return None
            try:
                (value,) = self._wire_to(server, incarnation, deadline).ask((Get(key),), deadline)
            except FAILURES:
                self.close()
                self._next = time.monotonic() + _LONGEST_S
                return None
            return str(value)

    def _wire_to(self, server: ConnectedStore, incarnation: Incarnation, deadline: float) -> Wire:
        if server is not self._server or self._wire is None:
            self.close()
            self._server = server
            self._wire = Wire(server.address, server.port, deadline)
            # A server that has replaced this one listens at the same port, and has none of the old run's keys.
            if incarnation_at(self._wire, self._run_id, deadline) != incarnation:
                raise Unreachable("another server listens at the port")
        return self._wire

    def was_reopened(self, incarnation: Incarnation) -> bool:
        """Whether the endpoint has the run in another incarnation; looked at once a second at most."""
        now = time.monotonic()
        if now < self._next_reopening:
            return False
        self._next_reopening = now + _LONGEST_S
        return was_reopened(self._host, self._port, self._run_id, incarnation, now + _LONGEST_S)

    def close_run(self, server: Optional[ConnectedStore]) -> None:
        """Close the run for all ranks, as far as the server, or what listens at the endpoint, answers."""
        deadline = time.monotonic() + _LONGEST_S
        with suppress(*FAILURES):
            addresses = resolve(self._host, deadline) if server is None else [server.address]
            with connect_any(addresses, self._port, deadline) as wire:
                close_run(wire, self._run_id, deadline)

    def close(self) -> None:
        """Close the connection; another question opens it again."""
        wire, self._wire = self._wire, None
        if wire is not None:
            wire.close()
