"""Take the name server away: its process has ended, so queries are refused."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence

from harness.faults.base import FAULTS, Evidence, FaultContext, FaultMember
from harness.faults.parts.evidence import hosts_of
from harness.machine.names import resolution
from harness.machine.network.kernel_counters import counters
from harness.values.attribute import Declaration
from harness.worlds.base import WorldHost


@FAULTS.register("resolver_gone")
class ResolverGone(FaultMember):
    """Hosts files without names, and nothing on port 53."""

    declaration = Declaration(
        kind="resolver_gone",
        summary="Removes all names from the hosts files of its ranks' hosts; no name server answers their queries.",
        example="{inject: resolver_gone, ranks: 1, for: 3s}",
        details=(
            "Each query is refused, so a look-up fails at once with a temporary error. For a name server whose whole "
            "host is gone use `slow_resolver` with `answers: never`. The evidence is how often a kernel was notified "
            "that the port is closed; if never, the cell is vacuous."
        ),
    )
    layer = "host"
    needs = frozenset({"hosts"})

    @contextlib.contextmanager
    def hold(self, context: FaultContext) -> Iterator[Callable[[], Evidence]]:
        hosts = hosts_of(self.fault, context)
        with resolution.unserved(hosts, self.fault.name):
            before = _refusals(hosts)
            yield lambda: _evidence(before, _refusals(hosts), hosts)


def _evidence(before: Sequence[int], after: Sequence[int], hosts: Sequence[WorldHost]) -> Evidence:
    refused = {host.name: new - old for host, old, new in zip(hosts, before, after, strict=True) if new > old}
    return Evidence(bool(refused), {"refused": refused})


def _refusals(hosts: Sequence[WorldHost]) -> list[int]:
    return [_refused_to(host) for host in hosts]


def _refused_to(host: WorldHost) -> int:
    """How many ICMP messages `destination unreachable` this host has received, of IPv4 and IPv6 together."""
    with host.inside():
        counted = counters()
    return counted["IcmpInDestUnreachs"] + counted.get("Icmp6InDestUnreachs", 0)
