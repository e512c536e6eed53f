"""Let a name be missing, as that of a service whose record is created seconds after its pods."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator

from harness.faults.base import FAULTS, Evidence, FaultContext, FaultMember
from harness.faults.parts.evidence import hosts_of
from harness.machine.names import resolution
from harness.values.attribute import Attribute, Declaration


@FAULTS.register("missing_name")
class MissingName(FaultMember):
    """A name server that does not know the name, and hosts files without it."""

    declaration = Declaration(
        kind="missing_name",
        summary="Removes a name for the hosts of its ranks until it is healed.",
        attributes=(Attribute("name", "text", "the name", default=None, default_text="the name of the master's host"),),
        example="{inject: missing_name, ranks: workers, for: 5s}",
        details=(
            "Look-ups fail at once: there is no such host. Ranks get the master's name only under `route: direct`; "
            "otherwise they get the address of their link, and do not look the name up. If nobody looked the name up, "
            "the cell is vacuous."
        ),
    )
    layer = "host"
    needs = frozenset({"hosts"})

    @contextlib.contextmanager
    def hold(self, context: FaultContext) -> Iterator[Callable[[], Evidence]]:
        by, name = self.fault.name, self.fault.attributes["name"] or context.master_host.name
        hosts = hosts_of(self.fault, context)
        with resolution.served(context.proxy_host, hosts, by, (name,), instead={name.lower(): None}) as count:
            yield lambda: Evidence((found := count()).get("untrue", 0) > 0, found)
