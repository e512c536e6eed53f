"""Stall links for a while without losing anything."""

from __future__ import annotations

from collections.abc import Sequence

from harness.faults.base import FAULTS, Evidence
from harness.faults.parts.engine_toxics import EngineFault
from harness.faults.parts.toxics import ToxicFault
from harness.proxies.base import Link, Traffic
from harness.values.attribute import Attribute, Declaration


@FAULTS.register("x_stall")
class XStall(EngineFault):
    """The engine's `x_stall`."""

    declaration = Declaration(
        kind="x_stall",
        summary="Holds all bytes back until healing, also the ends of connections; nothing is lost.",
        attributes=(
            Attribute("stream", "choice", "to the master, from it, or both", "both",
                      choices=("upstream", "downstream", "both")),
        ),
        example="{inject: x_stall, ranks: 1, after: join, for: 2s}",
        details=(
            "It looks like a long pause of the other side, but without touching its process. Unlike a `blackhole` it "
            "leaves no trace after healing. New connections can be made, and are stalled too."
        ),
    )  # fmt: skip
    toxic_kind = "x_stall"

    def evidence(self, links: Sequence[Link], before: Sequence[Traffic], after: Sequence[Traffic]) -> Evidence:
        """Bytes or ends that it holds back; a connection without any is not enough."""
        return ToxicFault.evidence(self, links, before, after)
