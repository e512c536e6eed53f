"""Let one direction of a connection end without the other."""

from __future__ import annotations

from collections.abc import Sequence

from harness.faults.base import FAULTS, Evidence, link_evidence
from harness.faults.engine import EngineFault
from harness.proxies.base import Link, Traffic
from harness.words.attribute import Declaration


@FAULTS.register("x_half_close")
class XHalfClose(EngineFault):
    """The engine's `x_half_close`."""

    declaration = Declaration(
        kind="x_half_close",
        summary="Hands an end of one direction on as TCP does, and leaves the other direction alone.",
        example="{inject: x_half_close, ranks: 1}",
        details="Without it an end in either direction ends the whole connection, as through any Toxiproxy.",
    )
    toxic_kind = "x_half_close"

    def evidence(self, links: Sequence[Link], before: Sequence[Traffic], after: Sequence[Traffic]) -> Evidence:
        """A connection that it lay on: whether an end came in one direction only nobody notes."""
        return link_evidence(("upstream", "downstream"), links, before, after)
