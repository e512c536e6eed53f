"""Delay the packets of hosts: distance, a busy router, several routes of different lengths."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from harness.faults.base import FAULTS, Evidence, FaultContext, FaultMember
from harness.faults.parts.evidence import hosts_of
from harness.machine.network import delaying
from harness.machine.network.packet_queue import Delay as Kept
from harness.values.attribute import Attribute, Declaration

LONGEST_NS = 60_000_000_000
"""A minute: netem counts in 32 bits of 64 ns, and TCP gives up on packets that are later."""


@FAULTS.register("delay")
class Delay(FaultMember):
    """The kernel's netem, or a packet queue of the harness where the kernel has none."""

    declaration = Declaration(
        kind="delay",
        needs=("delay",),
        summary="Delays each packet that its ranks' hosts send or receive.",
        attributes=(
            Attribute("delay", "duration", "how long", maximum=LONGEST_NS),
            Attribute(
                "jitter", "duration", "how much longer or shorter, drawn uniformly for each packet", default=0,
                maximum=LONGEST_NS,
            ),
            Attribute(
                "reorder", "number", "the share of packets that are not delayed and overtake others", default=0.0,
                default_text="0", minimum=0, maximum=1,
            ),
            Attribute(
                "way", "choice", "packets sent, packets received, or both", "both", choices=("out", "in", "both")
            ),
        ),
        example="{inject: delay, ranks: 1, delay: 50ms, jitter: 10ms}",
        details=(
            "With `both` an answer comes twice the delay later. The report says what delays the packets: the kernel's "
            "`netem`, or, where the kernel has none, a process of the harness behind an NFQUEUE. That process draws "
            "from the run's seed; netem does not. On healing, the packets that the process holds pass; those that "
            "netem holds are lost, and TCP sends them again. With netem a host takes one such fault per direction at "
            "a time, `rate` included. It needs `nft`, or `tc` and `ip` for netem, or `iptables-restore` where "
            "nf_tables has no queue."
        ),
    )  # fmt: skip
    layer = "host"
    needs = frozenset({"hosts"})

    @classmethod
    def problems(cls, attributes: Mapping[str, Any]) -> Sequence[str]:
        if (attributes.get("jitter") or 0) > (attributes.get("delay") or 0):
            return ("no packet can arrive before it is sent; make `jitter` at most `delay`",)
        return ()

    def try_here(self) -> None:
        delaying.mechanism(self.fault.attributes["way"])

    @contextlib.contextmanager
    def hold(self, context: FaultContext) -> Iterator[Callable[[], Evidence]]:
        given = self.fault.attributes
        kept = Kept(given["delay"], given["jitter"], given["reorder"])
        seed = context.seed(f"delay {self.fault.name}")
        hosts = hosts_of(self.fault, context)
        with delaying.delayed(self.fault.name, hosts, given["way"], kept, seed) as facts:
            yield lambda: _evidence(facts(), given["delay"], given["jitter"])


def _evidence(facts: Mapping[str, Any], delay_ns: int, jitter_ns: int) -> Evidence:
    """No packet was held for less than the shortest delay that can be drawn, or one is held still.

    Where that is next to nothing, one must have been held for a quarter of the delay. What netem does, its own counters
    do not say.
    """
    if "longest_ns" not in facts:
        return Evidence(None if facts["packets"] else False, facts)
    held = facts["shortest_ns"] >= delay_ns - jitter_ns and facts["longest_ns"] >= max(delay_ns // 4, 1)
    return Evidence(held or facts["waiting"] > 0, facts)
