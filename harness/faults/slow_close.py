"""Let the end of a connection wait."""

from __future__ import annotations

from collections.abc import Sequence

from harness.faults.base import FAULTS, Evidence
from harness.faults.parts.toxics import ToxicFault
from harness.proxies.base import Link, Traffic
from harness.values.attribute import Attribute, Declaration


@FAULTS.register("slow_close")
class SlowClose(ToxicFault):
    """Toxiproxy's `slow_close`."""

    declaration = Declaration(
        kind="slow_close",
        summary="Bytes pass; the end of a connection in its direction comes `delay` later.",
        attributes=(Attribute("delay", "duration", "how long the end waits, in whole milliseconds", minimum=0),),
        example="{inject: slow_close, ranks: 1, stream: downstream, delay: 500ms}",
        details="Healing lets an end that waits pass at once. `down` and a reset are not delayed.",
    )
    toxic_kind = "slow_close"
    units = {"delay": (1_000_000, "ms")}

    def evidence(self, links: Sequence[Link], before: Sequence[Traffic], after: Sequence[Traffic]) -> Evidence:
        """An end that came counts as well: it is what this fault is about."""
        passed = super().evidence(links, before, after)
        ended = sum(new.ended - old.ended for old, new in zip(before, after, strict=True))
        return Evidence(True if ended else passed.touched, {**passed.facts, "ended": ended})
