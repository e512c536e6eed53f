"""Swallow what a link carries."""

from __future__ import annotations

from harness.faults.base import FAULTS
from harness.faults.parts.toxics import ToxicFault
from harness.values.attribute import Attribute, Declaration


@FAULTS.register("blackhole")
class Blackhole(ToxicFault):
    """Toxiproxy's `timeout`; that word is torch's here."""

    declaration = Declaration(
        kind="blackhole",
        summary="Swallows everything that would pass: the sender believes it was sent.",
        attributes=(
            Attribute(
                "timeout",
                "duration",
                "close the connection this long after the last bytes came, in whole milliseconds; 0 never closes it",
                0,
                "0s",
                minimum=0,
            ),
        ),
        example="{inject: blackhole, ranks: 3, stream: downstream, after: join, for: 3 * timeout}",
        details=(
            "New connections are accepted and swallowed too; the other direction flows. A connection that a peer "
            "closes is closed. Healing closes every connection it lay on, since bytes are missing: "
            "a call that hangs raises then."
        ),
    )
    toxic_kind = "timeout"
    units = {"timeout": (1_000_000, "ms")}
