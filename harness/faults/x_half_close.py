"""End one direction of a connection without the other."""

from __future__ import annotations

from collections.abc import Sequence

from harness.faults.base import FAULTS, Evidence
from harness.faults.parts.engine_toxics import EngineFault
from harness.faults.parts.toxics import toxic_name
from harness.proxies.base import Link, Traffic
from harness.values.attribute import Declaration


@FAULTS.register("x_half_close")
class XHalfClose(EngineFault):
    """The engine's `x_half_close`, one for each direction, so that the engine logs in which of them it acted."""

    declaration = Declaration(
        kind="x_half_close",
        summary="Passes the end of one direction on as TCP does, and leaves the other direction open.",
        example="{inject: x_half_close, ranks: 1}",
        details=(
            "Without it, an end in either direction closes the whole connection, as Toxiproxy does. The report says "
            "how many ends passed alone in each direction: those of the rank are `upstream`. If there was none, the "
            "cell is vacuous."
        ),
    )
    toxic_kind = "x_half_close"

    @property
    def streams(self) -> tuple[str, ...]:
        return ("upstream", "downstream")

    def evidence(self, links: Sequence[Link], before: Sequence[Traffic], after: Sequence[Traffic]) -> Evidence:
        """How many ends the engine passed on alone, by direction."""
        found = super().evidence(links, before, after)
        ends = {one: sum(link.acts(toxic_name(self.fault, one)) for link in links) for one in self.streams}
        return Evidence(found.touched, {**found.facts, "ends": ends})
