"""Break connections with a reset."""

from __future__ import annotations

from harness.faults.base import FAULTS, FaultContext
from harness.faults.parts.toxics import ToxicFault, toxic_name
from harness.proxies.base import Link
from harness.scenario.moment import START
from harness.scenario.scenario import Fault
from harness.values.attribute import Attribute, Declaration

LONGEST_NS = 10_000_000_000
"""The server cannot be talked out of a countdown: healing waits for it, and no request may last 25 s."""


@FAULTS.register("reset_peer")
class ResetPeer(ToxicFault):
    """Toxiproxy's `reset_peer`.

    The server makes a connection end by a reset only if the toxic was there when it was opened. So it is put in place
    before any rank starts, with toxicity 0, and made to bite when the fault's moment has come.
    """

    declaration = Declaration(
        kind="reset_peer",
        summary="At the next bytes, or at the end, ends the connection with a reset to both sides, `timeout` later.",
        attributes=(
            Attribute(
                "timeout", "duration", "from the first bytes to the reset, in whole milliseconds, at most 10s", 0, "0s",
                minimum=0, maximum=LONGEST_NS,
            ),
        ),
        example="{inject: reset_peer, ranks: 2, stream: upstream, after: join}",
        details=(
            "The bytes that set it off are swallowed. A connection on which nothing is sent in that direction stays. "
            "On links with this fault the ordinary end of a connection is a reset too, from the start of the world: "
            "Toxiproxy decides that when the connection opens."
        ),
    )  # fmt: skip
    toxic_kind = "reset_peer"
    units = {"timeout": (1_000_000, "ms")}

    def __init__(self, fault: Fault) -> None:
        super().__init__(fault)
        self._armed: set[tuple[str, str]] = set()

    def arm(self, context: FaultContext) -> None:
        """Put the toxics in place, harmless; needless if they are to bite before anybody connects."""
        if self.fault.after == START:
            return
        for link in context.links(self.fault.ranks):
            for stream in self.streams:
                link.add_toxic(toxic_name(self.fault, stream), self.toxic_kind, stream, 0.0, self.toxic_attributes)
                self._armed.add((link.name, stream))

    def place(self, link: Link, stream: str) -> None:
        if (link.name, stream) not in self._armed:
            super().place(link, stream)
            return
        self._armed.discard((link.name, stream))
        link.update_toxic(toxic_name(self.fault, stream), self.fault.toxicity, self.toxic_attributes)
