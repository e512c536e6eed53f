"""How a session waits for others, by a connection that only notes how long it was listened to."""

from __future__ import annotations

import time
from typing import Any

import pytest

from harness.rendezvous import joiner
from harness.rendezvous.failures import Unreachable
from harness.rendezvous.joiner import Joiner
from harness.rendezvous.keys import Incarnation
from harness.rendezvous.operations import Operation
from harness.rendezvous.protocol import Seat
from harness.rendezvous.session import Session


class FarServer:
    """Breaks off at the first wait, and knows for how many seconds it would have been waited."""

    first = ()

    def __init__(self, round_trip_s: float) -> None:
        self.round_trip_s = round_trip_s
        self.waited_s = 0.0

    def send(self, operations: Any, deadline: float) -> None:
        pass

    def receive(self, operation: Operation, deadline: float) -> None:
        self.waited_s = deadline - time.monotonic()
        raise Unreachable("seen enough")


@pytest.mark.parametrize(("round_trip_s", "at_least_s"), [(0.001, 0.9), (0.5, 1.9), (1.0, 2.9)])
def test_who_is_far_looks_around_less_often_than_an_answer_takes(round_trip_s: float, at_least_s: float) -> None:
    """Over a link of a second, a look around after a second would always come before the answer, and delay it."""
    waiting = Joiner(Seat("run", 1, 2, "nonce", "who"), joiner.CALLED, Incarnation("i"), round=1)
    session = Session(waiting, time.monotonic() + 60, lambda joiner, wire: None, lambda: False)
    wire: Any = FarServer(round_trip_s)
    with pytest.raises(Unreachable):
        session.over(wire, patience_s=3.0)
    assert at_least_s <= wire.waited_s <= max(1.0, 4 * round_trip_s)
