"""Accept connections and never read from them."""

from __future__ import annotations

from harness.faults.base import FAULTS
from harness.faults.parts.engine_toxics import EngineFault
from harness.values.attribute import Declaration


@FAULTS.register("x_accept_never_read")
class XAcceptNeverRead(EngineFault):
    """The engine's `x_accept_never_read`."""

    declaration = Declaration(
        kind="x_accept_never_read",
        summary="Accepts new connections of its ranks and never reads them: writes stall when the window is full.",
        example="{inject: x_accept_never_read, ranks: 1, for: 2s}",
        details=(
            "Nothing reaches the master; a `blackhole`, in contrast, reads and drops. Connections that were open "
            "before are not affected; healing closes those that were accepted meanwhile. If no rank connects, the cell "
            "is vacuous."
        ),
    )
    toxic_kind = "x_accept_never_read"
    wants = "connecting"
