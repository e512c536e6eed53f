"""Delay the bytes that a link carries."""

from __future__ import annotations

from harness.faults.base import FAULTS
from harness.faults.parts.toxics import ToxicFault, held_back
from harness.values.attribute import Attribute, Declaration
from harness.values.toxic_effect import ToxicEffect

_MS = (1_000_000, "ms")


@FAULTS.register("latency")
class Latency(ToxicFault):
    """Toxiproxy's `latency`."""

    declaration = Declaration(
        kind="latency",
        summary="Delays all bytes by `latency` plus or minus `jitter`, and keeps their order.",
        attributes=(
            Attribute("latency", "duration", "how long each piece waits, in whole milliseconds", minimum=0),
            Attribute(
                "jitter", "duration", "how much more or less, drawn uniformly for each piece", 0, "0ms", minimum=0
            ),
        ),
        example="{inject: latency, ranks: 2, stream: downstream, latency: 300ms, jitter: 50ms}",
        details=(
            "Pieces keep their intervals: the delay does not add up over a stream. Connecting is not delayed, nor is "
            "the end of a connection unless bytes wait before it. On healing, bytes that wait pass at once."
        ),
    )
    toxic_kind = "latency"
    units = {"latency": _MS, "jitter": _MS}

    def acted(self, effect: ToxicEffect) -> bool:
        """A piece was held for the shortest delay that can be drawn, or is held still.

        Where that is next to nothing, one must have been held for a quarter of `latency`: of ten draws around it, all
        are shorter once in a billion.
        """
        latency_ns, jitter_ns = self.fault.attributes["latency"], self.fault.attributes["jitter"]
        longest_ns = max(effect.longest_ns, effect.longest_age_ns)
        return held_back(effect) or longest_ns >= max(latency_ns - jitter_ns, latency_ns // 4, 1)
