"""Cut ranks off: their links carry nothing, or packets between hosts are dropped."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, cast

from harness.faults.base import FAULTS, Evidence, FaultContext
from harness.faults.parts.toxics import ToxicFault
from harness.machine.network import firewall
from harness.machine.network.firewall import ANY_PACKET, DROP, Rule
from harness.machine.network.network_tools import hardware_addresses
from harness.scenario.scenario import Fault
from harness.values.attribute import Attribute, Declaration
from harness.values.errors import NothingToHit
from harness.values.toxic_effect import ToxicEffect
from harness.worlds.base import WorldHost


@FAULTS.register("partition")
class Partition(ToxicFault):
    """A blackhole on every link of its ranks; with `pairs`, firewall rules on the hosts."""

    declaration = Declaration(
        kind="partition",
        summary="Cuts its ranks off from the master, or pairs of hosts off from each other: nothing passes.",
        attributes=(
            Attribute(
                "stream", "choice",
                "the direction that is cut: to the master, or from the first of a pair to the second; back; or both",
                "both",
                choices=("upstream", "downstream", "both"),
            ),
            Attribute(
                "pairs", "pairs",
                "instead of `ranks`, in worlds of several hosts: the ranks whose hosts are cut off from each other",
                default=None, default_text="none: the links of `ranks`",
            ),
        ),
        example="{inject: partition, ranks: [2, 3], after: join, for: 2s}",
        details=(
            "Without `pairs` it works on links: connections stay open and new ones are accepted, but nothing passes. "
            "Healing closes every connection that was cut, since bytes are missing; new ones work. With `pairs`, "
            "`{inject: partition, pairs: [[1, 0], [2, 0]], stream: upstream}` or for two racks "
            "`pairs: [[[0, 1], [2, 3]]]`, it drops packets at the receiving host, so the sender does not notice: new "
            "connections cannot be made, and open ones hang until after healing, when TCP retransmits. Where there are "
            "links, the route to the master's host leads through them as well, and both routes are cut. It needs `nft`."
        ),
    )  # fmt: skip
    toxic = False
    toxic_kind = "timeout"

    @classmethod
    def needed(cls, fault: Fault) -> frozenset[str]:
        return frozenset({"hosts"}) if fault.attributes.get("pairs") else frozenset()

    @classmethod
    def machine_needs(cls, fault: Fault) -> tuple[str, ...]:
        return ("nft",) if fault.attributes.get("pairs") else ()

    @property
    def streams(self) -> tuple[str, ...]:
        stream = self.fault.stream or self.fault.attributes.get("stream", "both")
        return ("upstream", "downstream") if stream == "both" else (stream,)

    def acted(self, effect: ToxicEffect) -> bool:
        """It has swallowed bytes; an end that only passes is nothing cut."""
        return effect.swallowed_bytes > 0

    @property
    def toxic_attributes(self) -> dict[str, int]:
        return {"timeout": 0}

    @contextlib.contextmanager
    def hold(self, context: FaultContext) -> Iterator[Callable[[], Evidence]]:
        held = self._dropped(context) if self.fault.attributes.get("pairs") else super().hold(context)
        with held as evidence:
            yield evidence

    @contextlib.contextmanager
    def _dropped(self, context: FaultContext) -> Iterator[Callable[[], Evidence]]:
        cuts = list(dict.fromkeys(self._cuts(context)))
        if not cuts:
            raise NothingToHit("the ranks of each pair run on one host, so no packet between them crosses the network")
        hosts = {host.name: cast(WorldHost, host) for host in context.hosts}
        addresses = hardware_addresses([hosts[name] for name in {sender for sender, _ in cuts}])
        senders: dict[str, list[str]] = {}
        for sender, receiver in cuts:
            senders.setdefault(receiver, []).append(sender)
        rules = [
            (hosts[name], [Rule("input", f"ether saddr {addresses[one]} {ANY_PACKET}", DROP) for one in whose])
            for name, whose in senders.items()
        ]
        with firewall.ruled(self.fault.name, rules) as counts:
            yield lambda: _evidence(senders, counts())

    def _cuts(self, context: FaultContext) -> Iterator[tuple[str, str]]:
        """The names of the hosts: (sender, receiver)."""
        for firsts, seconds in self.fault.attributes["pairs"]:
            for first, second in ((one, other) for one in firsts for other in seconds):
                for here, there in _between(context, first, second):
                    if "upstream" in self.streams:
                        yield here, there
                    if "downstream" in self.streams:
                        yield there, here


def _between(context: FaultContext, first: int, second: int) -> Iterator[tuple[str, str]]:
    """The pairs of hosts between two ranks: their own, and with the proxy server's instead of the master's."""
    here, there = context.host(first).name, context.host(second).name
    master, proxy = context.master_host.name, context.proxy_host.name
    if here != there:
        yield here, there
        if there == master and context.links([first]):
            yield here, proxy
        if here == master and context.links([second]):
            yield proxy, there


def _evidence(senders: Mapping[str, Sequence[str]], counts: firewall.Counts) -> Evidence:
    dropped: dict[str, Any] = {
        f"{sender} to {receiver}": count.stopped
        for receiver, whose in senders.items()
        for sender, count in zip(whose, counts[receiver], strict=True)
    }
    return Evidence(any(dropped.values()), {"dropped_packets": dropped})
