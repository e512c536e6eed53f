"""Faults in how much a join asks of the machine and of the server."""

from __future__ import annotations

import select
import time
from typing import Any

from rdzv_mutants.catalogue import MANNERS, Base, around, mutant

_MISSING_MASTER = ("a-missing-master-ends-the-join-in-time", "a-late-master-is-found-in-two-seconds")


@mutant(MANNERS, "a worker whose master is missing opens connections without a pause", _MISSING_MASTER)
def connections_come_in_a_storm(base: Base) -> None:
    backoff = base.part("backoff")
    backoff._FIRST_PAUSE_S = backoff._LONGEST_PAUSE_S = 0.0002


@mutant(
    MANNERS, "a join keeps a processor busy while it waits", ("a-late-worker-is-waited-for", "everybody-joins-in-time")
)
def waiting_burns_the_processor(base: Base) -> None:
    failures = base.part("failures")

    def wait_for(sock: Any, event: int, deadline: float) -> None:
        poll = select.poll()
        poll.register(sock, event)
        while not poll.poll(0):
            if time.monotonic() >= deadline:
                raise failures.TimedOut("an answer")

    base.part("wire")._wait_for = wait_for


@mutant(
    MANNERS,
    "a worker sends its greeting in two segments, which a server may take for nonsense",
    ("everybody-joins-in-time",),
)
def greeting_is_split(base: Base) -> None:
    @around(base.part("wire").Wire, "_send")
    def send(original: Any, self: Any, data: bytes, deadline: float) -> None:
        if data[:1] != b"\x00":
            original(self, data, deadline)
            return
        original(self, data[:3], deadline)
        time.sleep(0.02)
        original(self, data[3:], deadline)


@mutant(
    MANNERS, "a master that waits asks for the slots again and again, without a pause", ("a-late-worker-is-waited-for",)
)
def slots_are_polled(base: Base) -> None:
    session = base.part("session")
    session._PAUSE_S = 0.0

    @around(session.Session, "_wait")
    def wait(original: Any, self: Any, wire: Any, operation: Any, recheck_s: float) -> bool:
        return bool(original(self, wire, operation, 0.0))
