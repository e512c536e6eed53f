"""How a session waits for other ranks, with a connection that only records how long it would have waited."""

from __future__ import annotations

import time
from typing import Any

import pytest

from harness.rendezvous import worker_join
from harness.rendezvous.failures import Unreachable
from harness.rendezvous.keys import Incarnation
from harness.rendezvous.operations import Operation
from harness.rendezvous.protocol import Participant
from harness.rendezvous.session import Session
from harness.rendezvous.worker_join import WorkerJoin


class FarServer:
    """Breaks the connection at the first wait, and records the seconds that the wait would have lasted."""

    first = ()

    def __init__(self, round_trip_s: float) -> None:
        self.round_trip_s = round_trip_s
        self.waited_s = 0.0

    def send(self, operations: Any, deadline: float) -> None:
        pass

    def receive(self, operation: Operation, deadline: float) -> None:
        self.waited_s = deadline - time.monotonic()
        raise Unreachable("the first wait")


@pytest.mark.parametrize(("round_trip_s", "at_least_s"), [(0.001, 0.9), (0.5, 1.9), (1.0, 2.9)])
def test_a_far_worker_rechecks_less_often_than_an_answer_takes(round_trip_s: float, at_least_s: float) -> None:
    """With a round trip of a second, a recheck after a second would always come before the answer, and delay it."""
    waiting = WorkerJoin(Participant("run", 1, 2, "nonce", "process"), Incarnation("i"), 1, worker_join.CALLED)
    session = Session(waiting, time.monotonic() + 60, lambda join, wire: None, lambda: False)
    wire: Any = FarServer(round_trip_s)
    with pytest.raises(Unreachable):
        session.run(wire, answer_s=3.0)
    assert at_least_s <= wire.waited_s <= max(1.0, 4 * round_trip_s)
