"""The links and hosts that a fault hits, and evidence from their traffic."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeVar, cast

from harness import clock
from harness.faults.base import Evidence, FaultContext
from harness.machine.network import sockets
from harness.proxies.base import Link, Traffic
from harness.scenario.scenario import Fault
from harness.values.errors import NothingToHit
from harness.worlds.base import Host, WorldHost

_LOOK_AGAIN_NS, _LOOKS = 5_000_000, 20

Seen = TypeVar("Seen")


def links_of(fault: Fault, context: FaultContext) -> Sequence[Link]:
    """The links that a fault hits; raises NothingToHit if there is none."""
    links = context.links(fault.ranks)
    if not links:
        raise NothingToHit(f"no link leads from rank {', '.join(map(str, fault.ranks))}")
    return links


def hosts_of(fault: Fault, context: FaultContext) -> list[WorldHost]:
    """The hosts of a fault's ranks, each once; for faults that need the capability `hosts`."""
    return list({host.name: cast(WorldHost, host) for host in map(context.host, fault.ranks)}.values())


def refusals(
    fault: Fault, context: FaultContext, links: Sequence[Link], before: Sequence[Traffic]
) -> Callable[[], int | None]:
    """Count refused connection attempts of a fault's ranks from now on; the returned function gives their number.

    The proxy's attempts to reach the master are subtracted if the proxy shares a host with the ranks. The number is
    None (unknown) in a network that is shared with others.

    Args:
        before: the traffic of these links, as of now.
    """
    hosts = {host.name: host for host in map(context.host, fault.ranks)}
    shared = context.proxy_host.name in hosts
    refused_before = _refused_attempts(context, hosts.values())

    def since() -> int | None:
        refused_now = _refused_attempts(context, hosts.values())
        if refused_before is None or refused_now is None:
            return None
        by_the_master = traffic_of(links)[0].unreached - before[0].unreached if shared else 0
        return max(0, refused_now - refused_before - by_the_master)

    return since


def _refused_attempts(context: FaultContext, hosts: Iterable[Host]) -> int | None:
    if not context.private_network:
        return None
    refused = 0
    for host in hosts:
        with host.inside():
            refused += sockets.tcp_counters().attempts_failed
    return refused


def settled(look: Callable[[], Seen], is_settled: Callable[[Seen], bool]) -> Seen:
    """What a look shows once it is settled, or after the last look.

    A server closes and counts connections within microseconds of processor time after it has answered, and says nothing
    about it: 20 looks, 100 ms in all.
    """
    seen = look()
    for _ in range(_LOOKS - 1):
        if is_settled(seen):
            break
        clock.sleep_ns(_LOOK_AGAIN_NS)
        seen = look()
    return seen


def traffic_of(links: Sequence[Link]) -> list[Traffic]:
    """The traffic of these links of one server, as of one look at it."""
    return [link.traffic(fresh=position == 0) for position, link in enumerate(links)]


def link_evidence(
    streams: Sequence[str], links: Sequence[Link], before: Sequence[Traffic], after: Sequence[Traffic]
) -> Evidence:
    """Evidence from the traffic of links between two looks: connections, and bytes in the given directions.

    Downstream bytes that were held back count if only these links can hold them; if others can, it is unknown.
    """
    pairs = list(zip(before, after, strict=True))
    new_bytes = [_grown(old, new, stream) for old, new in pairs for stream in streams]
    held = after[0].held[len(before[0].held) :] if "downstream" in streams else ()
    names = frozenset(link.name for link in links)
    facts: dict[str, Any] = {
        "accepted": sum(new.accepted - old.accepted for old, new in pairs),
        "bytes": None if None in new_bytes else sum(number or 0 for number in new_bytes),
        "held_bytes": sum(entry.bytes for entry in held if entry.links <= names),
        "ranks": sorted(
            {link.rank for link, (old, new) in zip(links, pairs, strict=True) if _moved(streams, old, new)}
        ),
    }
    if facts["accepted"] or facts["bytes"] or facts["held_bytes"]:
        return Evidence(True, facts)
    doubtful = any(entry.links & names for entry in held) or facts["bytes"] is None
    return Evidence(None if doubtful or not all(new.complete for new in after) else False, facts)


def may_be_more(links: Sequence[Link], before: Sequence[Traffic], after: Sequence[Traffic]) -> bool:
    """Whether more may have come than was counted: unnoticed, or held back on one of these links or of others."""
    held, names = after[0].held[len(before[0].held) :], frozenset(link.name for link in links)
    shared = any(entry.bytes and entry.links & names and not entry.links <= names for entry in held)
    return shared or not all(new.complete for new in after)


def _moved(streams: Sequence[str], before: Traffic, after: Traffic) -> bool:
    return after.accepted > before.accepted or any(_grown(before, after, stream) for stream in streams)


def _grown(before: Traffic, after: Traffic, stream: str) -> int | None:
    """Bytes received or sent on in that direction, whichever is more: bytes of earlier may be sent on only now."""
    grown = [
        new - old
        for name in (f"{stream}_bytes", f"{stream}_sent")
        if (old := getattr(before, name)) is not None and (new := getattr(after, name)) is not None
    ]
    return max(grown, default=None)
