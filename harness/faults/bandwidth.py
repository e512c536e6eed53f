"""Limit the bytes per second that a link carries."""

from __future__ import annotations

from harness.faults.base import FAULTS
from harness.faults.parts.toxics import ToxicFault, held_back
from harness.values.attribute import Attribute, Declaration
from harness.values.toxic_effect import ToxicEffect


@FAULTS.register("bandwidth")
class Bandwidth(ToxicFault):
    """Toxiproxy's `bandwidth`."""

    declaration = Declaration(
        kind="bandwidth",
        summary="Limits each connection to `rate`, in each direction of `stream`.",
        attributes=(Attribute("rate", "rate", "bytes per second, in whole KB/s (1 KB = 1000 B)", minimum=0),),
        example="{inject: bandwidth, stream: both, rate: 10KB/s}",
        details=(
            "The first bytes wait too. With 0KB/s nothing passes, not even the end of a connection, and the sender "
            "stalls when the buffers are full. On healing, bytes that wait pass at once."
        ),
    )
    toxic_kind = "bandwidth"
    units = {"rate": (1000, "KB/s")}

    def acted(self, effect: ToxicEffect) -> bool:
        """The bytes that passed were held for as long as they take at this rate, or some are held still."""
        rate = self.fault.attributes["rate"]
        due_ns = effect.passed_bytes * 1_000_000_000 // rate - effect.chunks if rate else 0
        return held_back(effect) or effect.held_ns >= max(due_ns, 1)
