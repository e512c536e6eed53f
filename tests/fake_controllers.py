"""Controllers without processes, for the tests of the pool and of the runner: they play at once, by a function."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable
from pathlib import Path

from pasts import Past

from harness.archive import write_history
from harness.play.channel import Answer, ParentEnd, Played, Ready
from harness.play.options import Order, RunOptions
from harness.scenario.codec import encode
from harness.scenario.scenario import Scenario
from harness.values.history import History

Plays = Callable[[Scenario], History]
FACTS = Ready({"kind": "processes"}, {"torch": "2.15.0"})


def joined(scenario: Scenario, outcome: str = "ok") -> History:
    """Every rank's rendezvous came out like this, and nothing else went wrong."""
    step = scenario.steps[0].name
    return Past(scenario.world.size, "echo").all_join(step=step, outcome=outcome).whole()


class FakeController:
    """A controller that follows a script; `says` puts an answer into its connection, `sends` anything at all.

    Attributes:
        is_stuck: whether it does not go when it is asked to.

    Args:
        plays: the history of a scenario; None never answers an order.
        events: gets a line for each thing that the pool does to it.
    """

    def __init__(self, number: int, plays: Plays | None, events: list[str]) -> None:
        ours, self._far = socket.socketpair()
        self.connection = ParentEnd(ours)
        self.number = number
        self.orders: list[Order] = []
        self.plays = plays
        self.is_stuck = False
        self._events = events
        self._gone = False

    def says(self, answer: Answer) -> None:
        self.sends(json.dumps(encode(answer, Answer)).encode() + b"\n")

    def sends(self, data: bytes) -> None:
        self._far.sendall(data)

    def dies(self) -> None:
        self._far.close()

    def send(self, order: Order) -> None:
        self.orders.append(order)
        if self.plays is not None:
            self.answer(self.plays)

    def answer(self, plays: Plays) -> None:
        """Play the last order like this."""
        order = self.orders[-1]
        write_history(order.run_dir, plays(order.scenario).ops)
        self.says(Played(order.run_dir))

    def receive(self) -> Answer | None:
        return self.connection.receive()

    def hang_up(self) -> None:
        self._events.append(f"{self.number} hang up")
        self.connection.close()

    def wait_gone(self, within_s: float) -> bool:
        self._events.append(f"{self.number} wait")
        self._gone = not self.is_stuck
        return self._gone

    def cut_off(self) -> None:
        self._end("cut off")

    def kill(self) -> None:
        self._end("kill")

    def _end(self, how: str) -> None:
        """The kernel ends it, unless it is gone."""
        if not self._gone:
            self._events.append(f"{self.number} {how}")
            self.connection.close()
            self._gone = True

    def last_words(self) -> str:
        return f"controller {self.number} is gone"


class FakeControllers:
    """Starts fake controllers, and remembers them.

    Args:
        plays: as of `FakeController`.
        ready: whether they are ready at once.
    """

    def __init__(self, plays: Plays | None = joined, ready: bool = True) -> None:
        self.started: list[FakeController] = []
        self.began_with: list[tuple[str, str]] = []
        self.events: list[str] = []
        self._plays, self._ready = plays, ready

    def play(self, plays: Plays) -> None:
        """From now on all of them play like this."""
        self._plays = plays
        for controller in self.started:
            controller.plays = plays

    def __call__(self, options: RunOptions, log_dir: Path, world: str, isolation: str) -> FakeController:
        assert log_dir.is_dir()
        self.began_with.append((world, isolation))
        self.started.append(FakeController(len(self.started) + 1, self._plays, self.events))
        if self._ready:
            self.started[-1].says(FACTS)
        return self.started[-1]
