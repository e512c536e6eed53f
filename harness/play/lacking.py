"""What this machine lacks for a scenario, as far as that shows without playing it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from harness.faults.base import FAULTS
from harness.machine.docker import engine, images
from harness.machine.network import network_tools
from harness.machine.process.namespaces import probe_elsewhere
from harness.play.needs import WORLD, unmet_by_proxy, unmet_by_world
from harness.scenario.scenario import Scenario
from harness.values.errors import Unsupported
from harness.worlds.base import WORLDS


class Machine:
    """What this machine has; each thing is looked for once."""

    def __init__(self) -> None:
        self._missing: dict[str, str] = {}

    def lacking(self, scenario: Scenario, toxiproxy: str) -> Iterator[tuple[str, str]]:
        """(need, reason) of all that this machine lacks for a scenario; the reason ends with how to get it.

        What only a trial shows (a kernel without a part) is found when it is played.
        """
        for unmet in (unmet_by_proxy(scenario, toxiproxy), unmet_by_world(scenario)):
            if unmet is not None:
                yield unmet
        for need in dict.fromkeys(_needs(scenario)):
            if need not in self._missing:
                self._missing[need] = missing_here(need)
            if self._missing[need]:
                yield need, self._missing[need]


def _needs(scenario: Scenario) -> Iterable[str]:
    yield from WORLDS[scenario.world.kind].declaration.needs
    for fault in scenario.faults:
        yield from FAULTS[fault.kind].machine_needs(fault)


def missing_here(need: str) -> str:
    """Why this machine lacks something, with how to get it; empty if it has it, or only a trial shows it."""
    try:
        if need in network_tools.PACKAGES:
            network_tools.path_of(need)
        elif need == engine.NEED:
            with engine.connect() as client:
                images.require(client)
        elif need == WORLD:
            isolation = probe_elsewhere()
            return "" if isolation.possible else f"no network namespaces here ({isolation.reason})"
    except Unsupported as missing:
        return missing.reason
    return ""
