"""A cluster without machines: what each says is written by a function, and a test decides who is lost."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from harness import __version__
from harness.campaign.orders import FACTS, TORCH, MachineOrder, PlayOrder
from harness.campaign.shipping import shipped
from harness.clusters.base import Cluster, Ended, Event, Left, Lost, Said
from harness.judge.result import Result
from harness.values.history import History
from harness.values.verdict import PASSED, Judgement

GOOD = {"harness": __version__, "worlds": 2, "torch": "2.15.0", "python": "", "isolation": ""}


def passed(play: PlayOrder) -> Result:
    """A result as a machine has it."""
    return Result(play.scenario, Judgement(PASSED, ""), History(), None, 1.5, play.attempt, "static", play.seed)


def line_of(play: PlayOrder, result: Result | None = None) -> str:
    """What a player says of a play that is over."""
    return json.dumps({"result": shipped(play.play, result or passed(play))})


def lines_of(order: MachineOrder) -> Iterator[str]:
    """What a player says of a shard."""
    yield '{"shard":"begun"}'
    for play in order.plays:
        yield json.dumps({"begun": play.play})
        yield line_of(play)


Plays = Callable[[str, MachineOrder], Iterator[str]]


class Died(Exception):
    """The machine dies, and is there no more."""


class Failed(Exception):
    """The shard is lost, and the machine lives."""


class FakeCluster(Cluster):
    """Plays what it gets when it is asked what has happened.

    Args:
        machines: the facts of each.
        plays: what a machine says of a shard; may raise Died or Failed.
        torches: what it says if it is asked for the build of a torch; likewise.

    Attributes:
        sent: each play with its machine, in order.
        asked: each torch with the machine that was asked for its build.
    """

    def __init__(self, plays: Plays | None = None, torches: Plays | None = None, **machines: Any) -> None:
        self._machines = {name: {**GOOD, **facts} for name, facts in machines.items()}
        self._plays = plays or (lambda machine, order: lines_of(order))
        self._torches = torches or (lambda machine, order: iter(['{"torch":"2.15.0+cu132"}']))
        self._waiting: deque[tuple[int, str, MachineOrder]] = deque()
        self._events: deque[Event] = deque()
        self._tickets = 0
        self.sent: list[tuple[str, str]] = []
        self.asked: list[tuple[str, str]] = []
        self.cancelled: list[int] = []
        self.opened = self.closed = 0

    @classmethod
    def at(cls, address: str) -> Cluster:
        raise NotImplementedError(address)

    def open(self) -> Sequence[str]:
        self.opened += 1
        return list(self._machines)

    def submit(self, machine: str, order: str) -> int:
        self._tickets += 1
        read = MachineOrder.from_json(order)
        self._waiting.append((self._tickets, machine, read))
        self.sent += [(machine, play.play) for play in read.plays if read.want != TORCH]
        self.asked += [(machine, read.options.python)] if read.want == TORCH else []
        return self._tickets

    def happens(self, event: Event, **facts: Any) -> None:
        """Something happens, such as a machine that joins with facts of its own."""
        machine = getattr(event, "machine", None)
        if machine is not None:
            self._machines[machine] = {**GOOD, **facts}
        self._events.append(event)

    def completed(self, within_s: float) -> Sequence[Event]:
        while self._waiting:
            ticket, machine, order = self._waiting.popleft()
            if machine in self._machines:
                self._play(ticket, machine, order)
        events = list(self._events)
        self._events.clear()
        return events

    def _play(self, ticket: int, machine: str, order: MachineOrder) -> None:
        if order.want == FACTS:
            self._events += [Said(ticket, json.dumps({"facts": self._machines[machine]})), Ended(ticket)]
            return
        try:
            for line in (self._torches if order.want == TORCH else self._plays)(machine, order):
                self._events.append(Said(ticket, line))
        except Died:
            del self._machines[machine]
            self._events.append(Left(machine, "it died"))
        except Failed as failed:
            self._events.append(Lost(ticket, str(failed)))
        else:
            self._events.append(Ended(ticket))

    def cancel(self, ticket: int) -> None:
        self.cancelled.append(ticket)

    def close(self) -> None:
        self.closed += 1


def path_in(folder: Path) -> Path:
    """A ledger in a folder."""
    return folder / "ledger.jsonl"
