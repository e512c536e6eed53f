"""Let a name lead to another host or to none, as after a missed update or with a copied configuration."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence

from harness.faults.base import FAULTS, Evidence, FaultContext, FaultMember
from harness.faults.parts.evidence import hosts_of
from harness.machine.names import hosts_file, resolution
from harness.values.attribute import Attribute, Declaration
from harness.values.errors import HarnessError
from harness.worlds.base import WorldHost

NOBODY = "nobody"


@FAULTS.register("wrong_address")
class WrongAddress(FaultMember):
    """A name server that answers with another address, or with another one first, and hosts files without the name."""

    declaration = Declaration(
        kind="wrong_address",
        summary="Gives a name the address of another host, or of none, on the hosts of its ranks.",
        attributes=(
            Attribute("to", "text", f"the host whose address it gets, or `{NOBODY}`", default=NOBODY),
            Attribute("first", "flag", "whether the true address follows as the name's second", default=False),
            Attribute("name", "text", "the name", default=None, default_text="the name of the master's host"),
        ),
        example="{inject: wrong_address, ranks: 2, to: r1}",
        details=(
            "If `to` is a host without a listener, connecting is refused. `nobody` is an address of the world's "
            "network that no host has: connecting to it fails after some seconds, because the host is unreachable. "
            "With `first`, the name has both addresses; which one a client tries first is its own choice: the C "
            "library prefers the address of the host itself (`to` its own name). "
            "Ranks get the master's name only under `route: direct`. If nobody looked the name up, the cell is "
            "vacuous."
        ),
    )
    layer = "host"
    needs = frozenset({"hosts"})

    @contextlib.contextmanager
    def hold(self, context: FaultContext) -> Iterator[Callable[[], Evidence]]:
        by, name = self.fault.name, self.fault.attributes["name"] or context.master_host.name
        hosts = hosts_of(self.fault, context)
        address = self._address(hosts, context)
        wrong = {"instead": {name.lower(): address}, "first": self.fault.attributes["first"]}
        with resolution.served(context.proxy_host, hosts, by, (name,), **wrong) as count:
            yield lambda: Evidence((found := count()).get("untrue", 0) > 0, {"address": address, **found})

    def _address(self, hosts: Sequence[WorldHost], context: FaultContext) -> str:
        to, path = self.fault.attributes["to"], resolution.hosts_of(hosts[0])
        if to == NOBODY:
            return resolution.free_address(path, context.master_host.address)
        address = hosts_file.address_of(path, to)
        if address is None:
            known = ", ".join(dict.fromkeys(name for entry in hosts_file.entries(path) for name in entry.names))
            raise HarnessError(f"{hosts[0].name} knows no host {to!r}; write one of {known}, or `{NOBODY}`")
        return address
