"""Pull the cables of hosts, as with a dead switch, a pulled plug or a virtual machine that is moved."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from harness.faults.base import FAULTS, Evidence, FaultContext, FaultMember
from harness.faults.parts.evidence import hosts_of
from harness.faults.parts.layers import Layers
from harness.machine.network import own_interface, sockets
from harness.values.attribute import Declaration
from harness.worlds.base import Host, WorldHost

_plugs: Layers[bool] = Layers()


@FAULTS.register("unplug")
class Unplug(FaultMember):
    """The cables between its ranks' hosts and the switch."""

    declaration = Declaration(
        kind="unplug",
        summary="Pulls the network cables of its ranks' hosts: nothing reaches them, and nothing leaves them.",
        example="{inject: unplug, ranks: 2, after: join, for: 3s}",
        details=(
            "By default it pulls the cables of all ranks, as a dead switch does. Connections stay open on both sides, "
            "and no side gets an error; the kernel retransmits, at intervals that double, until it gives up (see "
            "`host_limits`). After healing, a connection goes on with the next retransmission, which may take as long "
            "as the cable was out. Connections within a host are not affected. If nothing was sent meanwhile, the cell "
            "is vacuous."
        ),
    )
    layer = "host"
    needs = frozenset({"hosts"})

    @contextlib.contextmanager
    def hold(self, context: FaultContext) -> Iterator[Callable[[], Evidence]]:
        pulled = hosts_of(self.fault, context)
        before = _silence(context.hosts, pulled)
        with contextlib.ExitStack() as out:
            for host in pulled:
                out.enter_context(_plugs.hold(host.name, False, True, functools.partial(_set, host)))
            yield lambda: _evidence(before, _silence(context.hosts, pulled), _plugged(pulled))


def _set(host: WorldHost, plugged: bool) -> None:
    (host.plug if plugged else host.unplug)()


@dataclass(frozen=True)
class _Silence:
    """What one host has sent without an answer.

    Attributes:
        unanswered: connections that await an answer now; of other hosts only those to hosts without a cable.
        timeouts: how often an answer was missing since the host was created. Retransmissions do not count: without a
            cable the host does not find its neighbour, and keeps the first packet.
        given_up: connections, open or being made, that failed since the host was created.
    """

    unanswered: int
    timeouts: int
    given_up: int


def _silence(hosts: Sequence[Host], pulled: Sequence[Host]) -> dict[str, _Silence]:
    """By host. On the harness's own network, answers are missing only because of faults."""
    names, addresses = {host.name for host in pulled}, {host.address for host in pulled}
    found = {}
    for host in hosts:
        with host.inside():
            counters = sockets.tcp_counters()
            open_to = [one.remote.host for one in sockets.unanswered() if one.remote.host != host.address]
        unanswered = len(open_to) if host.name in names else sum(address in addresses for address in open_to)
        found[host.name] = _Silence(unanswered, counters.timeouts, counters.given_up + counters.attempts_failed)
    return found


def _plugged(hosts: Sequence[WorldHost]) -> list[str]:
    """Those whose kernel sees a cable."""
    plugged = []
    for host in hosts:
        with host.inside():
            if own_interface.has_carrier(host.device):
                plugged.append(host.name)
    return plugged


def _evidence(before: Mapping[str, _Silence], now: Mapping[str, _Silence], plugged: Sequence[str]) -> Evidence:
    """Something stayed without an answer, and the kernel of no host sees its cable."""
    facts = {
        name: {
            "unanswered": one.unanswered,
            "timeouts": one.timeouts - before[name].timeouts,
            "given_up": one.given_up - before[name].given_up,
        }
        for name, one in now.items()
    }
    touched = not plugged and any(any(one.values()) for one in facts.values())
    hosts = {name: one for name, one in facts.items() if any(one.values())}
    return Evidence(touched, {"hosts": hosts, "still_plugged": list(plugged)})
