"""No name server: its process has ended, and the host says that nobody listens there."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from typing import cast

from harness.faults.base import FAULTS, Evidence, FaultContext, FaultMember
from harness.machine.names import resolution
from harness.machine.network.kernel_counters import counters
from harness.values.attribute import Declaration
from harness.worlds.base import WorldHost


@FAULTS.register("resolver_gone")
class ResolverGone(FaultMember):
    """Hosts files without names, and nothing on port 53."""

    declaration = Declaration(
        kind="resolver_gone",
        summary="Takes all names out of the hosts files of its ranks' hosts; nobody listens where they then ask.",
        example="{inject: resolver_gone, ranks: 1, for: 3s}",
        details=(
            "Each query is refused, so a look-up ends at once and says that it may be tried again. A name server whose "
            "whole host is gone is `slow_resolver` with `answers: never`. The evidence is how often a kernel was "
            "told that a port is closed; if never, the cell is vacuous."
        ),
    )
    layer = "host"
    needs = frozenset({"hosts"})

    @contextlib.contextmanager
    def hold(self, context: FaultContext) -> Iterator[Callable[[], Evidence]]:
        hosts = resolution.distinct(cast(WorldHost, context.host(rank)) for rank in self.fault.ranks)
        with resolution.unserved(hosts, self.fault.name):
            before = _refusals(hosts)
            yield lambda: _evidence(before, _refusals(hosts), hosts)


def _evidence(before: Sequence[int], after: Sequence[int], hosts: Sequence[WorldHost]) -> Evidence:
    refused = {host.name: new - old for host, old, new in zip(hosts, before, after, strict=True) if new > old}
    return Evidence(bool(refused), {"refused": refused})


def _refusals(hosts: Sequence[WorldHost]) -> list[int]:
    return [_refused_to(host) for host in hosts]


def _refused_to(host: WorldHost) -> int:
    """How often this host was told that something cannot be reached; of IPv4 and IPv6 together."""
    with host.inside():
        counted = counters()
    return counted["IcmpInDestUnreachs"] + counted.get("Icmp6InDestUnreachs", 0)
