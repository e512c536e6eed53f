"""Questions before a campaign plays: each is answered by one machine, by another if that one cannot."""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from harness import clock
from harness.archive.files import parse_json
from harness.campaign.machines import EVENTS_WITHIN_S, NOBODY_NS, Machines
from harness.campaign.orders import MachineOrder
from harness.clusters.base import Cluster, Ended, Event, Joined, Left, Lost, Said
from harness.values.errors import HarnessError
from harness.values.json import mapping
from harness.values.printable import printable

ANSWERED_WITHIN_NS = 3600 * 10**9
"""An installation of torch may take that long."""

LONGEST_TEXT = 500
LONGEST_BUILD = 100


@dataclass(frozen=True)
class Answer:
    """The build of a torch, and the machine that has it now."""

    build: str
    machine: str


@dataclass
class Answers:
    """Of each question by its name: the answer, or by machine why there is none."""

    found: dict[str, Answer] = field(default_factory=dict)
    missing: dict[str, Mapping[str, str]] = field(default_factory=dict)


@dataclass
class _Asked:
    name: str
    machine: str
    asked_ns: int


class Asking:
    """Asks for the builds of torches; machines answer side by side, each one question at a time."""

    def __init__(self, cluster: Cluster, machines: Machines, say: Callable[[str], None]) -> None:
        self._cluster = cluster
        self._machines = machines
        self._say = say
        self._waiting: deque[str] = deque()
        self._asked: dict[int, _Asked] = {}
        self._why: defaultdict[str, dict[str, str]] = defaultdict(dict)
        self._answers = Answers()

    def ask(self, orders: Mapping[str, MachineOrder]) -> Answers:
        """The answers, once there is one for each question or every machine has refused it.

        Raises HarnessError if there is no machine for too long.
        """
        self._waiting = deque(orders)
        alone_ns = clock.now_ns()
        while self._waiting or self._asked:
            self._send(orders)
            for event in self._cluster.completed(EVENTS_WITHIN_S):
                self._machines.hear(event)
                self._hear(event)
            self._end_silent()
            alone_ns = clock.now_ns() if self._machines.fit else alone_ns
            if clock.now_ns() - alone_ns > NOBODY_NS:
                raise HarnessError(f"no machine is left, and none has come for {NOBODY_NS // 10**9} s")
        return self._answers

    def _send(self, orders: Mapping[str, MachineOrder]) -> None:
        for name in list(self._waiting):
            busy = {asked.machine for asked in self._asked.values()}
            untried = [machine for machine in self._machines.fit if machine not in self._why[name]]
            free = [machine for machine in untried if machine not in busy]
            if free:
                self._waiting.remove(name)
                ticket = self._cluster.submit(free[0], orders[name].to_json())
                self._asked[ticket] = _Asked(name, free[0], clock.now_ns())
            elif not untried and self._machines.fit:
                self._waiting.remove(name)
                self._answers.missing[name] = dict(self._why[name])

    def _hear(self, event: Event) -> None:
        if isinstance(event, Joined):
            return
        if isinstance(event, Left):
            for ticket, asked in list(self._asked.items()):
                if asked.machine == event.machine:
                    self._failed(ticket, event.because)
        elif event.ticket not in self._asked:
            return
        elif isinstance(event, Said):
            self._read(event.ticket, event.line)
        elif isinstance(event, Lost):
            self._failed(event.ticket, event.because)
        elif isinstance(event, Ended):
            self._failed(event.ticket, "it gave no answer")

    def _read(self, ticket: int, line: str) -> None:
        asked = self._asked[ticket]
        try:
            said = mapping(parse_json(line))
        except ValueError:
            said = {}
        build = said.get("torch")
        if "note" in said:
            self._say(f"{printable(asked.machine)}: {printable(str(said['note']))[:LONGEST_TEXT]}")
        elif isinstance(build, str) and build and build == printable(build)[:LONGEST_BUILD]:
            del self._asked[ticket]
            self._answers.found[asked.name] = Answer(build, asked.machine)
        else:
            self._failed(ticket, str(said.get("refused", "it said what no machine says")))

    def _failed(self, ticket: int, because: str) -> None:
        asked = self._asked.pop(ticket)
        text = self._why[asked.name][asked.machine] = printable(because)[:LONGEST_TEXT]
        self._say(f"{printable(asked.machine)} cannot play {asked.name}: {text}")
        self._waiting.append(asked.name)

    def _end_silent(self) -> None:
        for ticket, asked in list(self._asked.items()):
            if clock.now_ns() - asked.asked_ns > ANSWERED_WITHIN_NS:
                self._cluster.cancel(ticket)
                self._failed(ticket, f"it gave no answer within {ANSWERED_WITHIN_NS // 60 // 10**9} min")
