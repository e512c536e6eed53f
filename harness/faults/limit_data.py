"""End connections after so many bytes."""

from __future__ import annotations

from harness.faults.base import FAULTS
from harness.faults.parts.toxics import ToxicFault
from harness.values.attribute import Attribute, Declaration


@FAULTS.register("limit_data")
class LimitData(ToxicFault):
    """Toxiproxy's `limit_data`."""

    declaration = Declaration(
        kind="limit_data",
        summary="Lets exactly `bytes` pass on each connection in its direction, then closes it.",
        attributes=(Attribute("bytes", "size", "how many bytes pass, counted from the injection", minimum=0),),
        example="{inject: limit_data, ranks: 1, stream: downstream, bytes: 5B}",
        details=(
            "It closes as soon as the last byte that may pass has passed, not at the next one. 0B closes at the first "
            "byte and lets none pass; an idle connection stays."
        ),
    )
    toxic_kind = "limit_data"
