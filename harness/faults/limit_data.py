"""Close connections after a number of bytes."""

from __future__ import annotations

from harness.faults.base import FAULTS
from harness.faults.parts.toxics import ToxicFault
from harness.values.attribute import Attribute, Declaration
from harness.values.toxic_effect import ToxicEffect


@FAULTS.register("limit_data")
class LimitData(ToxicFault):
    """Toxiproxy's `limit_data`."""

    declaration = Declaration(
        kind="limit_data",
        summary="Closes each connection after exactly `bytes` have passed in its direction.",
        attributes=(Attribute("bytes", "size", "how many bytes pass, counted from the injection", minimum=0),),
        example="{inject: limit_data, ranks: 1, stream: downstream, bytes: 5B}",
        details=(
            "It closes as soon as the last allowed byte has passed, not at the next one. 0B closes at the first byte, "
            "which does not pass; an idle connection stays open."
        ),
    )
    toxic_kind = "limit_data"

    def acted(self, effect: ToxicEffect) -> bool:
        """It has ended a stream."""
        return effect.cuts > 0
