"""Stall links for a while without losing anything."""

from __future__ import annotations

from collections.abc import Sequence

from harness.faults.base import FAULTS, Evidence
from harness.faults.parts.engine_toxics import EngineFault
from harness.faults.parts.evidence import link_evidence
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
        """A connection that was made, bytes that arrived, or bytes that it holds back now."""
        met = link_evidence(self.streams, links, before, after)
        kept = sum(max(0, _kept(traffic, stream)) for traffic in after for stream in self.streams)
        return Evidence(True if kept else met.touched, {**met.facts, "kept_bytes": kept})


def _kept(traffic: Traffic, stream: str) -> int:
    return (getattr(traffic, f"{stream}_bytes") or 0) - (getattr(traffic, f"{stream}_sent") or 0)
