"""Break connections with a reset."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from harness.faults.base import FAULTS, FaultContext
from harness.faults.parts.toxics import ToxicFault, held_back, toxic_name
from harness.proxies.base import Link
from harness.scenario.moment import START
from harness.scenario.scenario import Fault
from harness.values.attribute import Attribute, Declaration
from harness.values.toxic_effect import ToxicEffect

LONGEST_NS = 10_000_000_000
"""The server does not cancel a countdown: healing waits for it, and no request may take 25 s."""


@FAULTS.register("reset_peer")
class ResetPeer(ToxicFault):
    """Toxiproxy's `reset_peer`.

    The server resets a connection only if the toxic was present when the connection was opened. So the toxic is added
    before any rank starts, with toxicity 0, and gets its toxicity when the fault is injected.
    """

    declaration = Declaration(
        kind="reset_peer",
        summary="Resets the connection on both sides, `timeout` after the next bytes or the end of the stream.",
        attributes=(
            Attribute(
                "timeout", "duration", "from the first bytes to the reset, in whole milliseconds, at most 10s", 0, "0s",
                minimum=0, maximum=LONGEST_NS,
            ),
        ),
        example="{inject: reset_peer, ranks: 2, stream: upstream, after: join}",
        details=(
            "The bytes that trigger it are swallowed. A connection on which nothing is sent in that direction stays "
            "open. On links with this fault, connections also end with a reset when they are closed normally, from the "
            "start of the world on: Toxiproxy decides that when a connection opens."
        ),
    )  # fmt: skip
    toxic_kind = "reset_peer"
    units = {"timeout": (1_000_000, "ms")}

    def __init__(self, fault: Fault) -> None:
        super().__init__(fault)
        self._armed: set[tuple[str, str]] = set()

    def arm(self, context: FaultContext) -> None:
        """Add the toxics without effect; not needed if the fault is injected before any rank connects."""
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

    def meets(self, facts: Mapping[str, Any]) -> bool | None:
        """The end of a stream triggers it as well."""
        return True if facts["ended"] else super().meets(facts)

    def acted(self, effect: ToxicEffect) -> bool:
        """It has ended a stream or swallowed the bytes that trigger it, or its countdown runs."""
        return bool(effect.cuts or effect.resets or held_back(effect))
