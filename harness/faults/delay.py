"""Keep the packets of hosts back: distance, a busy router, several ways of different lengths."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from harness.faults.base import FAULTS, Evidence, FaultContext, FaultMember
from harness.faults.parts.evidence import hosts_of
from harness.machine.network import delaying
from harness.machine.network.packet_queue import Delay as Kept
from harness.values.attribute import Attribute, Declaration


@FAULTS.register("delay")
class Delay(FaultMember):
    """The kernel's netem, or a packet queue of our own where the kernel has none."""

    declaration = Declaration(
        kind="delay",
        summary="Keeps each packet back that its ranks' hosts send or receive.",
        attributes=(
            Attribute("delay", "duration", "how long"),
            Attribute("jitter", "duration", "so much longer or shorter, drawn evenly for each packet", default=0),
            Attribute(
                "reorder", "number", "the share of packets that go at once and overtake the others", default=0.0,
                default_text="0", minimum=0, maximum=1,
            ),
            Attribute(
                "way", "choice", "those sent, those received, or each of both", "both", choices=("out", "in", "both")
            ),
        ),
        example="{inject: delay, ranks: 1, delay: 50ms, jitter: 10ms}",
        details=(
            "With `both` an answer comes later by twice the delay. The report says what keeps packets back: `netem` "
            "of the kernel, or, where it has none, a process of the harness behind an NFQUEUE, which draws from the "
            "run's seed, as netem does not. Healing lets what the process keeps pass; what netem keeps is lost, and "
            "TCP sends it again. With netem a host takes one such fault in each way at a time, `rate` counted. It "
            "needs `nft`, or `tc` and `ip` for netem, or `iptables-restore` where nf_tables has no queue."
        ),
    )  # fmt: skip
    layer = "host"
    needs = frozenset({"hosts"})

    @classmethod
    def problems(cls, attributes: Mapping[str, Any]) -> Sequence[str]:
        if (attributes.get("jitter") or 0) > (attributes.get("delay") or 0):
            return ("packets cannot come before they were sent; let `jitter` be at most `delay`",)
        return ()

    def arm(self, context: FaultContext) -> None:
        delaying.mechanism(self.fault.attributes["way"])

    @contextlib.contextmanager
    def hold(self, context: FaultContext) -> Iterator[Callable[[], Evidence]]:
        given = self.fault.attributes
        kept = Kept(given["delay"], given["jitter"], given["reorder"])
        seed = context.seed(f"delay {self.fault.name}")
        hosts = hosts_of(self.fault, context)
        with delaying.delayed(self.fault.name, hosts, given["way"], kept, seed) as facts:
            yield lambda: _evidence(facts())


def _evidence(facts: Mapping[str, Any]) -> Evidence:
    return Evidence(facts["packets"] > 0, facts)
