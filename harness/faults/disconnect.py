"""Take hosts off their network: what `docker network disconnect` does, and a cloud that detaches an interface."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Iterator, Sequence
from typing import cast

from harness.faults.base import FAULTS, Evidence, FaultContext, FaultMember
from harness.faults.parts.evidence import hosts_of
from harness.faults.parts.layers import Layers
from harness.machine.docker.hosts import DockerHost
from harness.machine.network import sockets
from harness.values.attribute import Declaration
from harness.worlds.base import Host

_networks: Layers[bool] = Layers()


@FAULTS.register("disconnect")
class Disconnect(FaultMember):
    """Docker's own disconnect and connect."""

    declaration = Declaration(
        kind="disconnect",
        summary="Disconnects the hosts of its ranks from their network; their interface is removed.",
        example="{inject: disconnect, ranks: 0, after: join, for: 8s}",
        details=(
            "Connections stay open and hang. What the host itself sends fails at once, since it has no route. Healing "
            "gives the host a new interface with its old address and name, and open connections go on with their "
            "next retransmission. If no connection was open and nothing was sent to the host, the cell is vacuous."
        ),
    )
    layer = "host"
    needs = frozenset({"engine", "hosts"})

    @contextlib.contextmanager
    def hold(self, context: FaultContext) -> Iterator[Callable[[], Evidence]]:
        hosts = [cast(DockerHost, host) for host in hosts_of(self.fault, context)]
        others = [host for host in context.hosts if host.name not in {one.name for one in hosts}]
        hanging = sum(_open(host) for host in hosts)
        failed_before = _failed(others)
        with contextlib.ExitStack() as connected_again:
            for host in hosts:
                connected_again.enter_context(_networks.hold(host.name, False, True, functools.partial(_set, host)))
            yield lambda: _evidence(hosts, others, hanging, failed_before)


def _set(host: DockerHost, connected: bool) -> None:
    (host.connect if connected else host.disconnect)()


def _evidence(hosts: Sequence[DockerHost], others: Sequence[Host], hanging: int, failed_before: int) -> Evidence:
    facts = {
        "hosts": [host.name for host in hosts],
        "left_hanging": hanging,
        "unanswered": sum(_unanswered(other, {host.address for host in hosts}) for other in others),
        "attempts_failed": _failed(others) - failed_before,
    }
    return Evidence(bool(facts["left_hanging"] or facts["unanswered"] or facts["attempts_failed"]), facts)


def _open(host: DockerHost) -> int:
    """How many connections it has with other hosts."""
    with host.inside():
        ends = [(one.local.host, one.remote.host) for one in sockets.connections()]
    return sum(1 for local, remote in ends if local == host.address and remote != host.address)


def _unanswered(host: Host, addresses: set[str]) -> int:
    with host.inside():
        return sum(1 for one in sockets.unanswered() if one.remote.host in addresses)


def _failed(hosts: Sequence[Host]) -> int:
    total = 0
    for host in hosts:
        with host.inside():
            total += sockets.tcp_counters().attempts_failed
    return total
