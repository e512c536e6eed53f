"""Let one direction of a connection end without the other."""

from __future__ import annotations

from collections.abc import Sequence

from harness.faults.base import FAULTS, Evidence
from harness.faults.parts.engine_toxics import EngineFault
from harness.faults.parts.toxics import toxic_name
from harness.proxies.base import Link, Traffic
from harness.values.attribute import Declaration


@FAULTS.register("x_half_close")
class XHalfClose(EngineFault):
    """The engine's `x_half_close`, in each direction, so that the engine tells in which of them it acted."""

    declaration = Declaration(
        kind="x_half_close",
        summary="Hands an end of one direction on as TCP does, and leaves the other direction alone.",
        example="{inject: x_half_close, ranks: 1}",
        details=(
            "Without it an end in either direction ends the whole connection, as through any Toxiproxy. The report "
            "says in which direction ends came alone: `upstream` is one of the rank's. If none did, the cell is "
            "vacuous."
        ),
    )
    toxic_kind = "x_half_close"

    @property
    def streams(self) -> tuple[str, ...]:
        return ("upstream", "downstream")

    def evidence(self, links: Sequence[Link], before: Sequence[Traffic], after: Sequence[Traffic]) -> Evidence:
        """How many ends the engine handed on alone, by their direction."""
        found = super().evidence(links, before, after)
        ends = {one: sum(link.acts(toxic_name(self.fault, one)) for link in links) for one in self.streams}
        return Evidence(found.touched, {**found.facts, "ends": ends})
