"""Delay the end of a connection."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from harness.faults.base import FAULTS
from harness.faults.parts.toxics import ToxicFault, held_back
from harness.values.attribute import Attribute, Declaration
from harness.values.toxic_effect import ToxicEffect


@FAULTS.register("slow_close")
class SlowClose(ToxicFault):
    """Toxiproxy's `slow_close`."""

    declaration = Declaration(
        kind="slow_close",
        summary="Delays the end of each connection in its direction by `delay`; bytes pass.",
        attributes=(Attribute("delay", "duration", "how long the end is delayed, in whole milliseconds", minimum=0),),
        example="{inject: slow_close, ranks: 1, stream: downstream, delay: 500ms}",
        details="On healing, an end that waits passes at once. `down` and resets are not delayed.",
    )
    toxic_kind = "slow_close"
    wants = "closing"
    units = {"delay": (1_000_000, "ms")}

    def meets(self, facts: Mapping[str, Any]) -> bool:
        """Bytes are not delayed, so they do not count; an end that the server holds counts as one held byte."""
        return bool(facts["ended"] or facts["held_bytes"])

    def acted(self, effect: ToxicEffect) -> bool:
        """An end was held for the whole delay, or is held still."""
        return held_back(effect) or effect.longest_end_ns >= max(self.fault.attributes["delay"], 1)
