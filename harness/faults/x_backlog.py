"""Let connects hang: the queue of the listening socket is full."""

from __future__ import annotations

from collections.abc import Sequence

from harness.faults.base import FAULTS, Evidence
from harness.faults.parts.engine_toxics import EngineFault
from harness.machine.network import listening
from harness.proxies.base import Link, Traffic
from harness.values.attribute import Declaration


@FAULTS.register("x_backlog")
class XBacklog(EngineFault):
    """The engine's `x_backlog`."""

    declaration = Declaration(
        kind="x_backlog",
        summary="Leaves new connections of its ranks without any answer; open ones live on.",
        example="{inject: x_backlog, ranks: 1, for: 2s}",
        details=(
            "The kernel drops every SYN, and whoever connects tries again after a second, and so on; healing lets them "
            "in at their next try. The report says how many tries were dropped, those of clients that gave up too. If "
            "there was none, the cell is vacuous."
        ),
    )
    toxic_kind = "x_backlog"

    def evidence(self, links: Sequence[Link], before: Sequence[Traffic], after: Sequence[Traffic]) -> Evidence:
        """What the kernel has dropped at the listening sockets, and the engine did not send itself."""
        found = super().evidence(links, before, after)
        return found if found.touched or listening.counts_dropped() else Evidence(None, found.facts)
