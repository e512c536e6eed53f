"""What a scenario needs of a world and of a proxy server, and whether they have it."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from dataclasses import replace

from harness.faults.base import FAULTS
from harness.machine.toxiproxy import server as proxy_server
from harness.play.options import AUTO, EMBEDDED, REAL, is_url
from harness.scenario.messages import messages_of, sights_of
from harness.scenario.scenario import Scenario
from harness.worlds.base import WORLDS

WORLD = "world"
"""The kind of need, as `--require` names it."""
PROXY = "proxy"
"""Likewise."""


def needs_of(scenario: Scenario) -> Iterator[tuple[str, str]]:
    """(capability, who needs it) of everything that not every kind of world can do."""
    for fault in scenario.faults:
        for capability in sorted(FAULTS[fault.kind].needed(fault)):
            yield capability, f"the fault {fault.name!r} ({fault.kind})" if fault.name != fault.kind else fault.kind
    if scenario.world.family == "ipv6":
        yield "hosts", "`family: ipv6`"
    for one in sights_of(scenario):
        if one.kind == "file" and not one.what.startswith("{run_dir}/"):
            yield "shared_files", f"the moment of the file {one.what!r}, which is not in {{run_dir}},"
    configs = (config for rank in scenario.world.ranks for config in rank.handlers.values())
    for host in sorted({config.host for config in configs if config.host}):
        if _is_loopback(host):
            yield "loopback", f"`host: {host}`"


def unmet_by_world(scenario: Scenario) -> tuple[str, str] | None:
    """(need, reason) of the first thing that this scenario's kind of world cannot do; None if it can do all."""
    kind = scenario.world.kind
    capabilities = WORLDS[kind].capabilities
    wanted = scenario.needs.get(WORLD)
    if wanted and wanted != kind and wanted not in capabilities:
        return WORLD, f"needs {wanted}, which worlds of {kind} lack{_who_has(wanted)}"
    if refused := WORLDS[kind].refuses(scenario):
        return WORLD, refused
    for capability, who in needs_of(scenario):
        if capability not in capabilities:
            return WORLD, f"{who} needs {capability}, which worlds of {kind} lack{_who_has(capability)}"
    return None


def wants_engine(scenario: Scenario) -> str:
    """Who needs the embedded engine, for messages; empty if the real server will do."""
    if scenario.needs.get(PROXY) == EMBEDDED:
        return "the scenario"
    for fault in scenario.faults:
        if FAULTS[fault.kind].engine:
            return f"the fault {fault.kind}"
    return next((f"the moment of {message}" for message in messages_of(scenario)), "")


def server_for(scenario: Scenario, toxiproxy: str) -> str:
    """Which server a scenario is played through: `embedded`, `real`, or a URL.

    Left to us it is the real one where this machine has it, unless the scenario needs what only the engine can.
    """
    if toxiproxy != AUTO:
        return toxiproxy
    if wants_engine(scenario):
        return EMBEDDED
    return REAL if scenario.needs.get(PROXY) == REAL or proxy_server.candidates() else EMBEDDED


def through_the_same(steady: Scenario, scenario: Scenario) -> Scenario:
    """A scenario's steady state, to be played through the server that it was played through itself."""
    return replace(steady, needs={**steady.needs, PROXY: EMBEDDED}) if wants_engine(scenario) else steady


def unmet_by_proxy(scenario: Scenario, toxiproxy: str) -> tuple[str, str] | None:
    """(need, reason) of what the chosen server lacks; None if nothing. What is at a URL shows when it is asked."""
    server, who = server_for(scenario, toxiproxy), wants_engine(scenario)
    if who and server == REAL:
        return PROXY, f"{who} needs the embedded engine; give --toxiproxy {EMBEDDED}, or leave it out"
    if scenario.needs.get(PROXY) == REAL and not is_url(server):
        if server == EMBEDDED:
            return PROXY, f"the scenario needs a real toxiproxy-server; give --toxiproxy {REAL}, or leave it out"
        if not proxy_server.candidates():
            return PROXY, f"the scenario needs a real toxiproxy-server; {proxy_server.HOW_TO_GET_IT}"
    return None


def _who_has(capability: str) -> str:
    having = [kind for kind, world in WORLDS.items() if capability in world.capabilities or kind == capability]
    return f"; give --world {' or '.join(having)}" if having else ""


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
