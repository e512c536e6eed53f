"""Let links stand still for a while, and lose nothing."""

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
        summary="Keeps everything back, the end of a connection too, until it is healed; nothing is lost.",
        attributes=(
            Attribute("stream", "choice", "to the master, from it, or both", "both",
                      choices=("upstream", "downstream", "both")),
        ),
        example="{inject: x_stall, ranks: 1, after: join, for: 2s}",
        details=(
            "What a long pause of the other side looks like, its process untouched. Unlike a `blackhole` it "
            "heals without a trace. New connections are made, and stand still too."
        ),
    )  # fmt: skip
    toxic_kind = "x_stall"

    def evidence(self, links: Sequence[Link], before: Sequence[Traffic], after: Sequence[Traffic]) -> Evidence:
        """A connection made, bytes that came, or bytes that it keeps back now."""
        met = link_evidence(self.streams, links, before, after)
        kept = sum(max(0, _kept(traffic, stream)) for traffic in after for stream in self.streams)
        return Evidence(True if kept else met.touched, {**met.facts, "kept_bytes": kept})


def _kept(traffic: Traffic, stream: str) -> int:
    return (getattr(traffic, f"{stream}_bytes") or 0) - (getattr(traffic, f"{stream}_sent") or 0)
