"""Swallow the bytes that a link carries."""

from __future__ import annotations

from harness.faults.base import FAULTS
from harness.faults.parts.toxics import ToxicFault
from harness.values.attribute import Attribute, Declaration
from harness.values.toxic_effect import ToxicEffect


@FAULTS.register("blackhole")
class Blackhole(ToxicFault):
    """Toxiproxy's `timeout`; in scenarios that word means torch's timeout."""

    declaration = Declaration(
        kind="blackhole",
        summary="Swallows all bytes; to the sender they seem sent.",
        attributes=(
            Attribute(
                "timeout",
                "duration",
                "close the connection this long after the last bytes arrived, in whole milliseconds; 0 never closes it",
                0,
                "0s",
                minimum=0,
            ),
        ),
        example="{inject: blackhole, ranks: 3, stream: downstream, after: join, for: 3 * timeout}",
        details=(
            "New connections are accepted, and their bytes swallowed too. The other direction is not affected. When a "
            "peer closes its connection, it is closed. Healing closes every connection that it affected, since bytes "
            "are missing: a call that hangs raises then."
        ),
    )
    toxic_kind = "timeout"
    units = {"timeout": (1_000_000, "ms")}

    def acted(self, effect: ToxicEffect) -> bool:
        """It has swallowed bytes, or closed a connection after its time."""
        return bool(effect.swallowed_bytes or effect.cuts)
