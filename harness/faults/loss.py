"""Drop a share of the packets of hosts, as a bad cable, an overloaded switch or a radio link does."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from typing import cast

from harness.faults.base import FAULTS, Evidence, FaultContext, FaultMember
from harness.faults.parts.evidence import hosts_of
from harness.machine.network import firewall
from harness.machine.network.firewall import ANY_PACKET, DROP, Rule
from harness.machine.network.network_tools import hardware_addresses
from harness.values.attribute import Attribute, Declaration
from harness.values.errors import NothingToHit
from harness.worlds.base import WorldHost

_STEPS = 10_000
"""The resolution of a share."""


@FAULTS.register("loss")
class Loss(FaultMember):
    """Firewall rules that draw a random number for each packet."""

    declaration = Declaration(
        kind="loss",
        needs=("nft",),
        summary="Drops a share of the packets that its ranks' hosts send and receive.",
        attributes=(
            Attribute("share", "number", "the share that is lost: 0.3 is three in ten", minimum=1 / _STEPS, maximum=1),
            Attribute(
                "way", "choice", "packets sent, packets received, or both", "both", choices=("out", "in", "both")
            ),
        ),
        example="{inject: loss, ranks: [1, 2], share: 0.3}",
        details=(
            "Packets are dropped at the receiving host, so the sender does not notice; between two hosts that are both "
            "hit, each packet can be dropped at either. The kernel draws without a seed: other packets are lost in "
            "each run, so no failure under it may be `known`. What the kernel handles as one packet may hold up to 64 "
            "KiB. TCP retransmits after 0.2 s or more, the first packet of a connection after 1 s. If no packet was "
            "lost, the cell is vacuous. It needs `nft`."
        ),
    )
    layer = "host"
    needs = frozenset({"hosts"})

    @contextlib.contextmanager
    def hold(self, context: FaultContext) -> Iterator[Callable[[], Evidence]]:
        hit = hosts_of(self.fault, context)
        addresses = hardware_addresses(hit)
        way = self.fault.attributes["way"]
        receivers: list[tuple[WorldHost, list[Rule]]] = []
        for host in (cast(WorldHost, host) for host in context.hosts):
            senders = [address for name, address in addresses.items() if name != host.name] if way != "in" else []
            rules = self._rules(host.name in addresses and way != "out", senders)
            if rules:
                receivers.append((host, rules))
        if not receivers:
            raise NothingToHit("there is no other host that could send packets")
        with firewall.ruled(self.fault.name, receivers) as counts:
            yield lambda: _evidence(counts())

    def _rules(self, is_hit: bool, senders: Sequence[str]) -> list[Rule]:
        """For one receiver, a rule for each group of packets."""
        groups = [ANY_PACKET] if is_hit else []
        groups += [f"ether saddr {{ {', '.join(senders)} }} {ANY_PACKET}"] if senders else []
        parts = round(self.fault.attributes["share"] * _STEPS)
        # nft refuses a bound that is no bound.
        chance = "" if parts == _STEPS else f"numgen random mod {_STEPS} < {parts}"
        return [Rule("input", one, DROP, chance) for one in groups]


def _evidence(counts: firewall.Counts) -> Evidence:
    met = sum(one.met for rules in counts.values() for one in rules)
    lost = {name: sum(one.stopped for one in rules) for name, rules in counts.items()}
    return Evidence(
        any(lost.values()), {"packets": met, "lost_packets": sum(lost.values()), "lost_on_the_way_to": lost}
    )
