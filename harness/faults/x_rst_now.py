"""Reset the connections that are open now."""

from __future__ import annotations

from harness.faults.base import FAULTS
from harness.faults.parts.engine_toxics import EngineFault
from harness.values.attribute import Declaration


@FAULTS.register("x_rst_now")
class XRstNow(EngineFault):
    """The engine's `x_rst_now`."""

    declaration = Declaration(
        kind="x_rst_now",
        summary="Resets every open connection of its links at once, on both sides.",
        example="{inject: x_rst_now, ranks: 2, after: join}",
        details="It waits for no bytes. Later connections are not affected. If none is open, the cell is vacuous.",
    )
    toxic_kind = "x_rst_now"
