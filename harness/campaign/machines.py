"""The machines of a cluster: each says its facts first, and those that are unfit are left out by name."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

from harness import clock
from harness.archive.files import parse_json
from harness.campaign.orders import FACTS, MachineOrder
from harness.campaign.roll_call import Facts, torch_of, unfit
from harness.clusters.base import Cluster, Event, Joined, Left, Lost, Said
from harness.play.options import RunOptions
from harness.values.errors import HarnessError
from harness.values.json import mapping
from harness.values.printable import printable

ANSWER_WITHIN_NS = 60_000_000_000
"""How long the machines of the beginning are waited for; later ones take part when they answer."""

NOBODY_NS = 120_000_000_000
"""So long a campaign waits for a machine when it has none."""

EVENTS_WITHIN_S = 0.5


def on_machines(options: RunOptions) -> RunOptions:
    """The options there: this interpreter means theirs, and folders of this machine mean nothing."""
    python = "" if options.python == sys.executable else options.python
    return replace(options, python=python, runs_dir=Path(), seed=None, keep=0)


class Machines:
    """Who takes part.

    Args:
        options: of the campaign, which a machine must be able to play.
        say: tells a person who is left out.

    Attributes:
        torch: the one that the campaign plays, once the roll was called.
    """

    def __init__(self, cluster: Cluster, options: RunOptions, say: Callable[[str], None]) -> None:
        self.torch = ""
        self._cluster = cluster
        self._options = options
        self._say = say
        self._asked: dict[int, str] = {}
        self._answers: dict[str, Facts] = {}
        self._is_called = False

    def open(self) -> None:
        """Connect, and ask those that are there; raises UsageError if nobody answers."""
        for machine in self._cluster.open():
            self._ask(machine)

    def call_roll(self) -> None:
        """Wait until the machines of the beginning have said their facts, and decide which torch is played.

        Raises HarnessError if none is fit.
        """
        deadline_ns = clock.now_ns() + ANSWER_WITHIN_NS
        while (self._asked or not self._answers) and clock.now_ns() < deadline_ns:
            for event in self._cluster.completed(EVENTS_WITHIN_S):
                self.hear(event)
        self.torch = torch_of(self._answers, self._options)
        self._is_called = True
        why = {machine: unfit(facts, self.torch, self._options) for machine, facts in self._answers.items()}
        if not self._answers:
            raise HarnessError("no machine of the cluster has answered; see the logs of its workers")
        if all(why.values()):
            reasons = "\n".join(f"{machine}: {because}" for machine, because in sorted(why.items()))
            raise HarnessError(f"no machine of the cluster is fit:\n{reasons}")
        for machine, because in sorted(why.items()):
            self._say_unfit(machine, because)

    @property
    def fit(self) -> Mapping[str, Facts]:
        """Those that take part, by their names."""
        return {name: facts for name, facts in sorted(self._answers.items()) if self._is_fit(facts)}

    def hear(self, event: Event) -> str:
        """Take note of who came, went, or said its facts; returns the machine that takes part from now on, or nothing.

        What is of a shard is passed over.
        """
        if isinstance(event, Joined):
            self._ask(event.machine)
        elif isinstance(event, Left):
            self._answers.pop(event.machine, None)
            self._asked = {ticket: machine for ticket, machine in self._asked.items() if machine != event.machine}
        elif event.ticket in self._asked and isinstance(event, Said):
            return self._answered(self._asked[event.ticket], event.line)
        elif event.ticket in self._asked:
            machine = self._asked.pop(event.ticket)
            if isinstance(event, Lost):
                self._say_unfit(machine, printable(event.because))
        return ""

    def _ask(self, machine: str) -> None:
        self._asked[self._cluster.submit(machine, MachineOrder(FACTS, on_machines(self._options)).to_json())] = machine

    def _answered(self, machine: str, line: str) -> str:
        try:
            facts = self._answers[machine] = Facts.from_json(mapping(parse_json(line)).get("facts"))
        except ValueError as error:
            self._say_unfit(machine, f"it said what no machine says ({printable(str(error))[:200]})")
            return ""
        if not self._is_called:
            return ""
        self._say_unfit(machine, unfit(facts, self.torch, self._options))
        return machine if self._is_fit(facts) else ""

    def _is_fit(self, facts: Facts) -> bool:
        return not unfit(facts, self.torch, self._options)

    def _say_unfit(self, machine: str, because: str) -> None:
        if because:
            self._say(f"{printable(machine)} is left out: {because}")
