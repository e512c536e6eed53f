"""Let connection attempts hang: the queue of the listening socket is full."""

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
        summary="Leaves connection attempts of its ranks without an answer; open connections are not affected.",
        example="{inject: x_backlog, ranks: 1, for: 2s}",
        details=(
            "The kernel drops every SYN, and the client's kernel repeats it after a second, then at intervals that "
            "double; after healing the next attempt succeeds. The report says how many attempts were dropped, "
            "including those of clients that gave up. If there was none, the cell is vacuous."
        ),
    )
    toxic_kind = "x_backlog"
    wants = "connecting"

    def evidence(self, links: Sequence[Link], before: Sequence[Traffic], after: Sequence[Traffic]) -> Evidence:
        """The attempts that the kernel dropped at the listening sockets, without those of the engine itself."""
        found = super().evidence(links, before, after)
        return found if found.touched or listening.counts_dropped() else Evidence(None, found.facts)
