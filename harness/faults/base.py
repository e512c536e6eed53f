"""What a fault promises: it is held, letting go heals it, and it can tell whether it touched anything."""

from __future__ import annotations

import contextlib
import re
import zlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any, ClassVar, Protocol, cast

from harness import clock
from harness.machine.network import sockets
from harness.proxies.base import Link, Traffic
from harness.registry import Registry
from harness.scenario.scenario import Fault
from harness.values.attribute import Declaration
from harness.values.endpoint import Endpoint
from harness.values.errors import NothingToHit
from harness.worlds.base import Host, WorldHost

# A server counts a connection a moment after it has ended, and nothing tells when it has: 20 looks, 100 ms in all.
LOOK_AGAIN_NS, COUNTED_WITHIN_LOOKS = 5_000_000, 20
LAYERS = ("link", "rank", "port", "host")


@dataclass(frozen=True)
class Evidence:
    """Whether a fault touched something.

    Attributes:
        touched: None where it cannot be read; the report then says `unproven`.
        facts: JSON values, how one knows: connections, bytes, pids, inodes.
    """

    touched: bool | None
    facts: Mapping[str, Any] = field(default_factory=dict)


class RankProcess(Protocol):
    """The living process of a rank: which rank, in which life, and its pid, reserved until it was seen to end."""

    @property
    def rank(self) -> int: ...

    @property
    def life(self) -> int: ...

    @property
    def pid(self) -> int: ...


class FaultContext(Protocol):
    """What a fault may touch."""

    def links(self, ranks: Sequence[int]) -> Sequence[Link]:
        """The links of these ranks (of rank processes, not of told ranks)."""

    def process(self, rank: int) -> RankProcess | None:
        """The rank's process, or None if it has not begun or has ended."""

    def expect_end(self, rank: int, fault: str) -> None:
        """Say before a kill that this rank's process will end by a fault, so that `no_crash` knows."""

    def start_again(self, rank: int) -> None:
        """Start the rank's next life."""

    def paused(self, rank: int, is_paused: bool) -> None:
        """Say that a rank's guard stands still, or runs again."""

    @property
    def endpoint(self) -> Endpoint:
        """The real endpoint of the world's default handler, its host as a numeric address where the world has hosts."""

    def host(self, rank: int) -> Host:
        """The host a rank lives on; in a world of one host always that one."""

    @property
    def hosts(self) -> Sequence[Host]:
        """All hosts of the world, the proxy server's among them."""

    @property
    def master_host(self) -> Host:
        """Where the endpoint is: port faults listen there, `with context.master_host.inside()`."""

    @property
    def proxy_host(self) -> Host:
        """Where links listen."""

    def seed(self, purpose: str) -> int:
        """A number drawn from the run's seed, the same for the same purpose."""

    def helper(self, module: str, arguments: Mapping[str, Any]) -> AbstractContextManager[int]:
        """Run `harness.rank.<module>.main(arguments)` in its own process, with torch; yields its pid once ready."""

    @property
    def private_network(self) -> bool:
        """Whether counters of the whole network namespace are this world's alone."""

    def master_join_begun_since(self, time_ns: int) -> bool:
        """Whether a process told rank 0 was in a join, or began one, at or after that time: it wanted the port."""


class FaultMember(ABC):
    """One kind of fault: the smallest promise.

    Attributes:
        declaration: what it is called and takes.
        layer: where it works: on a `link`, a `rank`, the master's `port`, or the `host`.
        toxic: whether it takes `stream` and `toxicity` (True only on links).
        engine: whether it needs the embedded proxy engine; the real server has no such toxic.
        needs: what its world must be able to do, by names of `World.capabilities`; else the cell is skipped.
        directly: why it works under `route: direct` only; empty if it works with links too.
        healing_ends_connections: for the documentation of those that cannot be undone silently.
    """

    declaration: ClassVar[Declaration]
    layer: ClassVar[str]
    toxic: ClassVar[bool] = False
    engine: ClassVar[bool] = False
    needs: ClassVar[frozenset[str]] = frozenset()
    directly: ClassVar[str] = ""

    def __init__(self, fault: Fault) -> None:
        self.fault = fault
        # Set by the nemesis before it lets go at the end of the play, where nobody is started again.
        self.end_of_play = False

    @classmethod
    def problems(cls, attributes: Mapping[str, Any]) -> Sequence[str]:
        """What is wrong with attributes that fit one by one but not together; the loader shows it at the fault."""
        return ()

    @classmethod
    def needed(cls, fault: Fault) -> frozenset[str]:
        """What this one needs of its world: `needs`, and what its attributes add."""
        return cls.needs

    def arm(self, context: FaultContext) -> None:  # noqa: B027 - most members have nothing to do here
        """Prepare before any rank starts; most faults need nothing."""

    @abstractmethod
    def hold(self, context: FaultContext) -> AbstractContextManager[Callable[[], Evidence]]:
        """Inject on entry, verified; yield a function that tells the evidence so far; heal on exit.

        Raises NothingToHit if there is nothing to hit, ProxyLost or HarnessError if it cannot be injected.
        The yielded function is called once, just before healing.
        """


FAULTS: Registry[type[FaultMember]] = Registry("fault", "harness.faults", "rdzv_harness.faults", FaultMember)


class ToxicFault(FaultMember):
    """A fault that is a toxic of Toxiproxy, on every link of its ranks and in each of its streams.

    Attributes:
        toxic_kind: what Toxiproxy calls it.
        units: by attribute, how many nanoseconds, or bytes per second, make one of Toxiproxy's units, and its name;
            whatever is not named goes over as it is.
    """

    layer = "link"
    toxic = True
    toxic_kind: ClassVar[str]
    units: ClassVar[Mapping[str, tuple[int, str]]] = {}

    @classmethod
    def problems(cls, attributes: Mapping[str, Any]) -> Sequence[str]:
        return [
            f"{name} is {attributes[name] / unit:g} {word}, but Toxiproxy needs whole ones; write 1{word} or 2{word}"
            for name, (unit, word) in cls.units.items()
            if attributes[name] % unit
        ]

    @property
    def streams(self) -> tuple[str, ...]:
        return self.fault.streams

    @property
    def toxic_attributes(self) -> dict[str, int]:
        """The attributes in Toxiproxy's units."""
        given = self.fault.attributes
        return {name: given[name] // self.units.get(name, (1, ""))[0] for name in self.own_attributes()}

    @classmethod
    def own_attributes(cls) -> Sequence[str]:
        """The attributes that Toxiproxy takes."""
        return [attribute.name for attribute in cls.declaration.attributes]

    @contextlib.contextmanager
    def hold(self, context: FaultContext) -> Iterator[Callable[[], Evidence]]:
        links = links_of(self.fault, context)
        before = traffic_of(links)
        with contextlib.ExitStack() as toxics:
            for link in links:
                for stream in self.streams:
                    # First the healing: what fails after the server has it must go away too.
                    toxics.callback(link.remove_toxic, toxic_name(self.fault, stream))
                    self.place(link, stream)
            yield lambda: self.settled_evidence(links, before)

    def place(self, link: Link, stream: str) -> None:
        """Put the toxic on one link, in one direction."""
        name, toxicity = toxic_name(self.fault, stream), self.fault.toxicity
        link.add_toxic(name, self.toxic_kind, stream, toxicity, self.toxic_attributes)

    def settled_evidence(self, links: Sequence[Link], before: Sequence[Traffic]) -> Evidence:
        """The evidence; a `nothing` is looked at again until it can no longer be the server's being late to count."""
        for _ in range(COUNTED_WITHIN_LOOKS):
            found = self.evidence(links, before, traffic_of(links))
            if found.touched is not False:
                break
            clock.sleep_ns(LOOK_AGAIN_NS)
        return found

    def evidence(self, links: Sequence[Link], before: Sequence[Traffic], after: Sequence[Traffic]) -> Evidence:
        """Whether a connection or a byte met the toxics: what passed the links meanwhile, in their direction.

        The embedded engine also tells when a toxic acted, on bytes too that had come before it was there.
        """
        met = link_evidence(self.streams, links, before, after)
        acts = self.acts(links)
        return Evidence(True, {**met.facts, "acts": acts}) if acts else met

    def acts(self, links: Sequence[Link]) -> int:
        """How often the toxics acted (swallowed, cut, stalled, turned a client away), where the server tells."""
        return sum(link.acts(toxic_name(self.fault, stream)) for link in links for stream in self.streams)


def refusals(
    fault: Fault, context: FaultContext, links: Sequence[Link], before: Sequence[Traffic]
) -> Callable[[], int | None]:
    """From now on count the attempts of a fault's ranks to connect that are refused; what it returns tells how many.

    Those of the proxy to reach the master are left out where they are counted with the ranks', on a host they share. In
    a network shared with others nobody knows: then it is None.

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


def hosts_of(fault: Fault, context: FaultContext) -> list[WorldHost]:
    """The hosts that a fault's ranks live on, each once: for faults that need the capability `hosts`."""
    return list({host.name: cast(WorldHost, host) for host in map(context.host, fault.ranks)}.values())


def links_of(fault: Fault, context: FaultContext) -> Sequence[Link]:
    """The links a fault hits; raises NothingToHit if there is none."""
    links = context.links(fault.ranks)
    if not links:
        raise NothingToHit(f"no link leads from rank {', '.join(map(str, fault.ranks))}")
    return links


def traffic_of(links: Sequence[Link]) -> list[Traffic]:
    """What has passed these links of one server, from one look."""
    return [link.traffic(fresh=position == 0) for position, link in enumerate(links)]


def toxic_name(fault: Fault, stream: str) -> str:
    """The fault's name as a part of a URL, and the stream: unique on a link."""
    plain = re.sub(r"[^A-Za-z0-9._-]", "-", fault.name)
    return f"{plain}-{stream}" if plain == fault.name else f"{plain}.{zlib.crc32(fault.name.encode()):08x}-{stream}"


def link_evidence(
    streams: Sequence[str], links: Sequence[Link], before: Sequence[Traffic], after: Sequence[Traffic]
) -> Evidence:
    """Evidence from what passed links between two looks: connections, and bytes in the given directions.

    Bytes held back on the way down count if only these links can have kept them; if others can too, nobody knows.
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


def _moved(streams: Sequence[str], before: Traffic, after: Traffic) -> bool:
    return after.accepted > before.accepted or any(_grown(before, after, stream) for stream in streams)


def _grown(before: Traffic, after: Traffic, stream: str) -> int | None:
    """Bytes that came in that direction, or were sent on, whichever is more: what came before may go on only now."""
    grown = [
        new - old
        for name in (f"{stream}_bytes", f"{stream}_sent")
        if (old := getattr(before, name)) is not None and (new := getattr(after, name)) is not None
    ]
    return max(grown, default=None)
