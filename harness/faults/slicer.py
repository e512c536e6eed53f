"""Cut the bytes that a link carries into small pieces."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from harness.faults.base import FAULTS
from harness.faults.parts.toxics import ToxicFault, held_back
from harness.values.attribute import Attribute, Declaration
from harness.values.toxic_effect import ToxicEffect


@FAULTS.register("slicer")
class Slicer(ToxicFault):
    """Toxiproxy's `slicer`."""

    declaration = Declaration(
        kind="slicer",
        summary="Cuts the stream into pieces of about `average_size`, each followed by `delay`.",
        attributes=(
            Attribute("average_size", "size", "bytes in a piece, on average", minimum=1),
            Attribute("size_variation", "size", "how far a piece may differ; below average_size", 0, "0B", minimum=0),
            Attribute("delay", "duration", "wait after each piece, in whole microseconds", 0, "0us", minimum=0),
        ),
        example="{inject: slicer, stream: upstream, average_size: 1B, delay: 2ms}",
        details="Every byte arrives, in order. On healing, the rest passes at once.",
    )
    toxic_kind = "slicer"
    units = {"delay": (1000, "us")}

    @classmethod
    def problems(cls, attributes: Mapping[str, Any]) -> Sequence[str]:
        """Also values that would crash the proxy server."""
        average, variation = attributes["average_size"], attributes["size_variation"]
        too_wide = f"size_variation ({variation}B) must be below average_size ({average}B), else Toxiproxy crashes"
        return [*super().problems(attributes), *([too_wide] if variation >= average else [])]

    def acted(self, effect: ToxicEffect) -> bool:
        """A chunk passed in several pieces, with the delay between them, or its rest is held still."""
        sliced = effect.split > 0 and effect.longest_ns >= self.fault.attributes["delay"]
        return held_back(effect) or sliced
