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
        needs=("tc", "ip", "tbf"),
        summary="Limits the bytes per second on the network interfaces of its ranks' hosts.",
        attributes=(
            Attribute("rate", "rate", "bytes per second, headers included; 1 Mbit/s is 125KB/s", minimum=100),
            Attribute(
                "way", "choice", "packets sent, packets received, or both", "both", choices=("out", "in", "both")
            ),
        ),
        example="{inject: rate, ranks: all, rate: 125KB/s}",
        details=(
            "All connections of a host share the rate; traffic within the host is not limited. A burst of 3200 bytes "
            "(at more than 320KB/s: of 10 ms) passes at once. Packets that would wait longer than 0.2 s, or behind ten "
            "large packets, are dropped. Packets that wait at healing are dropped too, and TCP sends them again. A "
            "host takes one such fault per direction at a time, including `delay` where the kernel does it. It needs "
            "`tc`, and for received packets a kernel with `ifb`."
        ),
    )
    layer = "host"
    needs = frozenset({"hosts"})

    def try_here(self) -> None:
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
    """Whether it held or dropped packets, and TCP sent some: an idle host sends IPv6 announcements."""
    facts = {
        name: {way: {"packets": one.packets, "held": one.held, "dropped": one.dropped} for way, one in ways.items()}
        for name, ways in passage.items()
    }
    touched = any(
        segments[name] and any(one.held or one.dropped for one in ways.values()) for name, ways in passage.items()
    )
    return Evidence(touched, {"hosts": facts})
