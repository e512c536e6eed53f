"""What a scenario needs of a world, and whether a kind of world has it."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator

from harness.faults.base import FAULTS
from harness.scenario import Scenario
from harness.worlds.base import WORLDS

WORLD = "world"
"""The kind of need, as `--require` names it."""


def needs_of(scenario: Scenario) -> Iterator[tuple[str, str]]:
    """(capability, who needs it) of everything that not every kind of world can do."""
    for fault in scenario.faults:
        for capability in sorted(FAULTS[fault.kind].needed(fault)):
            yield capability, f"the fault {fault.name!r} ({fault.kind})" if fault.name != fault.kind else fault.kind
    if scenario.world.family == "ipv6":
        yield "hosts", "`family: ipv6`"
    for host in sorted({told.host for rank in scenario.world.ranks for told in rank.told.values() if told.host}):
        if _is_loopback(host):
            yield "loopback", f"`host: {host}`"


def unmet_by_world(scenario: Scenario) -> tuple[str, str] | None:
    """(need, reason) of the first thing that this scenario's kind of world cannot do; None if it can do all."""
    kind = scenario.world.kind
    capabilities = WORLDS[kind].capabilities
    wanted = scenario.needs.get(WORLD)
    if wanted and wanted != kind and wanted not in capabilities:
        return WORLD, f"needs {wanted}, which worlds of {kind} lack{_who_has(wanted)}"
    for capability, who in needs_of(scenario):
        if capability not in capabilities:
            return WORLD, f"{who} needs {capability}, which worlds of {kind} lack{_who_has(capability)}"
    return None


def _who_has(capability: str) -> str:
    having = [kind for kind, world in WORLDS.items() if capability in world.capabilities or kind == capability]
    return f"; give --world {' or '.join(having)}" if having else ""


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
