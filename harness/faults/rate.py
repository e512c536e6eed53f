"""Let only so many bytes a second through the cables of hosts."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping

from harness.faults.base import FAULTS, Evidence, FaultContext, FaultMember
from harness.faults.parts.evidence import hosts_of
from harness.machine.network import shaping, sockets
from harness.values.attribute import Attribute, Declaration
from harness.worlds.base import WorldHost


@FAULTS.register("rate")
class Rate(FaultMember):
    """The kernel's token bucket filter on the hosts' interfaces."""

    declaration = Declaration(
        kind="rate",
        summary="Lets only so many bytes a second through the cables of its ranks' hosts.",
        attributes=(
            Attribute("rate", "rate", "bytes a second, headers counted; 1 Mbit/s is 125KB/s", minimum=100),
            Attribute(
                "way", "choice", "those sent, those received, or each of both", "both", choices=("out", "in", "both")
            ),
        ),
        example="{inject: rate, ranks: all, rate: 125KB/s}",
        details=(
            "All connections of a host share it; what stays on the host is not limited. A burst of 3200 bytes (at "
            "more than 320KB/s: of 10 ms) passes at once; what would wait behind more than 0.2 s, or ten large "
            "packets, is dropped. What still waits when it is healed is dropped too, and TCP sends it again. A host "
            "takes one such fault in each way at a time, `delay` counted where it is the kernel's. It needs `tc`, "
            "and for packets received a kernel that has `ifb`."
        ),
    )
    layer = "host"
    needs = frozenset({"hosts"})

    def arm(self, context: FaultContext) -> None:
        shaping.check(self._discipline, self.fault.attributes["way"])

    @contextlib.contextmanager
    def hold(self, context: FaultContext) -> Iterator[Callable[[], Evidence]]:
        hosts = hosts_of(self.fault, context)
        before = {host.name: _segments(host) for host in hosts}
        with shaping.shaped(hosts, self._discipline, self.fault.attributes["way"]) as passage:
            yield lambda: _evidence(passage(), {host.name: _segments(host) - before[host.name] for host in hosts})

    @property
    def _discipline(self) -> str:
        return shaping.token_bucket(self.fault.attributes["rate"])


def _segments(host: WorldHost) -> int:
    with host.inside():
        return sockets.tcp_counters().segments


def _evidence(passage: shaping.Passage, segments: Mapping[str, int]) -> Evidence:
    """Whether packets met it. IPv6 announces itself where nobody speaks, so the host must have moved segments too."""
    facts = {
        name: {way: {"packets": one.packets, "held": one.held, "dropped": one.dropped} for way, one in ways.items()}
        for name, ways in passage.items()
    }
    touched = any(segments[name] and any(one.packets for one in ways.values()) for name, ways in passage.items())
    return Evidence(touched, {"hosts": facts})
