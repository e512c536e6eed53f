"""What this machine lacks for a scenario: what a play of it would be skipped for, with the same reason."""

from __future__ import annotations

from collections.abc import Iterator

from harness.play.needs import unmet_by_proxy, unmet_by_world
from harness.play.trial import Question, Trials, answer, of_fault, of_world
from harness.scenario.scenario import Scenario
from harness.worlds.base import WORLDS, Isolation


class Machine:
    """What this machine has; each thing is looked for, or tried, once. A context manager, which ends the trials."""

    def __init__(self) -> None:
        self._trials = Trials()
        self._here: dict[str, tuple[str, str] | None] = {}

    def __enter__(self) -> Machine:
        return self

    def __exit__(self, *_: object) -> None:
        self._trials.close()

    def lacking(self, scenario: Scenario, toxiproxy: str) -> Iterator[tuple[str, str]]:
        """(need, reason) of all that this machine lacks for a scenario, in the order in which a play meets it.

        The reason ends with how to get it. What depends on the torch or the subject of a run is not among them.
        Raises HarnessError where the machine cannot be tried.
        """
        kind = scenario.world.kind
        for unmet in (unmet_by_proxy(scenario, toxiproxy), unmet_by_world(scenario)):
            if unmet is not None:
                yield unmet
        for question in (of_world(kind), *map(of_fault, scenario.faults)):
            missing = self._answer(kind, question)
            if missing is not None:
                yield missing

    def _answer(self, kind: str, question: Question) -> tuple[str, str] | None:
        """Of a world that needs private namespaces by a trial there; of any other here."""
        if WORLDS[kind].isolation == "private":
            return self._trials.lacking(question)
        key = repr(question)
        if key not in self._here:
            self._here[key] = answer(question, Isolation("host"))
        return self._here[key]
