"""Give a host another address under its old name, as a pod gets that was scheduled again."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import cast

from harness.faults.base import FAULTS, Evidence, FaultContext, FaultMember
from harness.faults.parts.evidence import hosts_of
from harness.machine.names import hosts_file, resolution
from harness.machine.network import own_interface, sockets
from harness.machine.network.kernel_counters import counters
from harness.machine.network.rtnetlink import Netlink
from harness.values.attribute import Attribute, Declaration
from harness.worlds.base import WorldHost

FOLLOW, STALE = "follow", "stale"


@FAULTS.register("address_change")
class AddressChange(FaultMember):
    """Another address on the same interface, and new entries in the hosts files."""

    declaration = Declaration(
        kind="address_change",
        summary="Gives the master's host another address under its old name.",
        attributes=(
            Attribute(
                "names",
                "choice",
                "what the other hosts find under its name: the new address at once, or the old one until healing",
                default=FOLLOW,
                choices=(FOLLOW, STALE),
            ),
        ),
        example="{inject: address_change, names: stale, for: 5s}",
        details=(
            "Open connections to the old address hang, as they do in reality. The neighbour entries for the old "
            "address are deleted on the other hosts (they would expire within a minute), so a connection to it fails "
            "after 3 s: the host is unreachable. Healing announces the new address to every host that still has the "
            "old one; the host keeps the new address. It needs `route: direct`, because a link leads to an address and "
            "not to a name. With `ranks` the hosts of these ranks move instead of the master's. If no connection was "
            "open and no rank's host began one afterwards, the cell is vacuous."
        ),
    )
    layer = "port"
    needs = frozenset({"hosts", "address_change"})
    directly = "a link leads to an address and not to a name"

    @contextlib.contextmanager
    def hold(self, context: FaultContext) -> Iterator[Callable[[], Evidence]]:
        hosts = [cast(WorldHost, host) for host in context.hosts]
        moving = self._moving(context)
        hanging = sum(_open_connections(host) for host in moving)
        moves = {host.name: (host.address, host.move()) for host in moving}
        _forget([host for host in hosts if host.name not in moves], [old for old, _ in moves.values()])
        stale = self.fault.attributes["names"] == STALE
        _tell([host for host in hosts if host.name in moves or not stale], moves)
        living = [host for host in hosts if host.name != context.proxy_host.name]
        before = _attempts(living)
        try:
            yield lambda: _evidence(moves, hanging, _attempts(living) - before, _unmoved(moving, moves))
        finally:
            # A second fault may have moved a host further meanwhile.
            _tell(hosts, {host.name: (moves[host.name][0], host.address) for host in moving})

    def _moving(self, context: FaultContext) -> Sequence[WorldHost]:
        ranked = hosts_of(self.fault, context)
        return ranked or [cast(WorldHost, context.master_host)]


Moves = Mapping[str, tuple[str, str]]
"""By host: the old address and the new one."""


def _tell(hosts: Sequence[WorldHost], moves: Moves) -> None:
    """Write the new addresses into these hosts' files; entries that are up to date are not changed."""
    for host in hosts:
        for old, new in moves.values():
            hosts_file.move(resolution.hosts_of(host), old, new)


def _forget(hosts: Sequence[WorldHost], addresses: Sequence[str]) -> None:
    """Delete these hosts' neighbour entries for the addresses; else they would send into silence for 15 to 45 s."""
    for host in hosts:
        with host.inside(), Netlink() as netlink:
            index = socket.if_nametoindex(host.device)
            for address in addresses:
                netlink.forget_neighbour(index, address)


def _open_connections(host: WorldHost) -> int:
    with host.inside():
        return sum(1 for one in sockets.connections() if one.local.host == host.address)


def _attempts(hosts: Sequence[WorldHost]) -> int:
    """How many connections were begun on these hosts since they were made."""
    total = 0
    for host in hosts:
        with host.inside():
            total += counters()["TcpActiveOpens"]
    return total


def _unmoved(hosts: Sequence[WorldHost], moves: Moves) -> list[str]:
    """The hosts whose kernel still has the old address, or does not have the new one."""
    unmoved = []
    for host in hosts:
        old, new = moves[host.name]
        with host.inside():
            if own_interface.has_address(old) or not own_interface.has_address(new):
                unmoved.append(host.name)
    return unmoved


def _evidence(moves: Moves, hanging: int, begun: int, unmoved: Sequence[str]) -> Evidence:
    facts = {"moved": {name: list(move) for name, move in moves.items()}, "left_hanging": hanging, "begun": begun}
    return Evidence(bool(hanging or begun) and not unmoved, {**facts, "unmoved": list(unmoved)})
