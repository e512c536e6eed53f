"""Answer all segments between hosts and the endpoint with resets, as a firewall that lost its state does."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator

from harness.faults.base import FAULTS, Evidence, FaultContext, FaultMember
from harness.machine.network import firewall
from harness.machine.network.firewall import ANY_SEGMENT, RESET, Rule
from harness.values.attribute import Declaration
from harness.values.endpoint import Endpoint
from harness.values.errors import NothingToHit
from harness.worlds.base import Host


@FAULTS.register("tcp_reset")
class TcpReset(FaultMember):
    """Firewall rules on the ranks' hosts, in both directions."""

    declaration = Declaration(
        kind="tcp_reset",
        needs=("nft",),
        summary="Answers all segments between its ranks' hosts and the endpoint with resets, also on open connections.",
        example="{inject: tcp_reset, ranks: 1, after: join, for: 1s}",
        details=(
            "The endpoint is the rank's link, or the master's port if it has none. The next side that sends on an open "
            "connection gets a reset; a side that only waits for bytes notices nothing; connecting is refused. On the "
            "master's host it hits all segments that come to the port over the network. If no segment was sent, the "
            "cell is vacuous. It needs `nft`."
        ),
    )
    layer = "host"
    needs = frozenset({"hosts"})

    @contextlib.contextmanager
    def hold(self, context: FaultContext) -> Iterator[Callable[[], Evidence]]:
        rules: dict[str, tuple[Host, list[Rule]]] = {}
        for rank in self.fault.ranks:
            host = context.host(rank)
            rules.setdefault(host.name, (host, []))[1].extend(_rules(rank, host, context))
        ruled = [(host, list(dict.fromkeys(some))) for host, some in rules.values() if some]
        if not ruled:
            raise NothingToHit(f"ranks {self.fault.ranks} have no route to the endpoint")
        with firewall.ruled(self.fault.name, ruled) as counts:
            yield lambda: _evidence(counts())


def _rules(rank: int, host: Host, context: FaultContext) -> Iterator[Rule]:
    links, endpoint = context.links([rank]), context.endpoint
    for link in links:
        yield from _to(link.address)
    if host.name == context.master_host.name:
        yield Rule("input", f"{ANY_SEGMENT} tcp dport {endpoint.port}", RESET)
        yield Rule("output", f"{ANY_SEGMENT} tcp sport {endpoint.port}", RESET)
    elif not links:
        yield from _to(endpoint)


def _to(endpoint: Endpoint) -> Iterator[Rule]:
    family = "ip6" if ":" in endpoint.host else "ip"
    yield Rule("output", f"{family} daddr {endpoint.host} {ANY_SEGMENT} tcp dport {endpoint.port}", RESET)
    yield Rule("input", f"{family} saddr {endpoint.host} {ANY_SEGMENT} tcp sport {endpoint.port}", RESET)


def _evidence(counts: firewall.Counts) -> Evidence:
    rejected = {name: sum(one.stopped for one in rules) for name, rules in counts.items()}
    return Evidence(any(rejected.values()), {"rejected_segments": rejected})
