"""The contract of a fault: it is injected, held and healed, and it knows whether it touched anything."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal, Protocol

from harness.machine.network import network_tools
from harness.proxies.base import Link
from harness.registry import Registry
from harness.scenario.scenario import Fault
from harness.values.attribute import Declaration
from harness.values.endpoint import Endpoint
from harness.worlds.base import Host


@dataclass(frozen=True)
class Evidence:
    """Whether a fault touched something.

    Attributes:
        touched: None where it cannot be read; the report then says `unproven`.
        facts: what shows it, as JSON values: connections, bytes, pids, inodes.
    """

    touched: bool | None
    facts: Mapping[str, Any] = field(default_factory=dict)


class RankProcess(Protocol):
    """The living process of a rank; its pid is not reused before the harness has seen the process end."""

    @property
    def rank(self) -> int: ...

    @property
    def life(self) -> int: ...

    @property
    def pid(self) -> int: ...


class FaultContext(Protocol):
    """What a fault may touch."""

    def links(self, ranks: Sequence[int]) -> Sequence[Link]:
        """The links of these rank processes (a process may have been given another rank number)."""

    def process(self, rank: int) -> RankProcess | None:
        """The rank's process, or None if it has not begun or has ended."""

    def expect_end(self, rank: int, fault: str) -> None:
        """Announce, before a kill, that a fault will end this rank's process; `no_crash` does not count that end."""

    def paused(self, rank: int, is_paused: bool) -> None:
        """Stop the clock of a rank's hang guard, or let it run again."""

    @property
    def endpoint(self) -> Endpoint:
        """The real endpoint of the world's default handler, its host as a numeric address where the world has hosts."""

    def host(self, rank: int) -> Host:
        """The host that a rank runs on."""

    @property
    def hosts(self) -> Sequence[Host]:
        """All hosts of the world, including the proxy server's."""

    @property
    def master_host(self) -> Host:
        """The host of the endpoint. Port faults listen there: `with context.master_host.inside()`."""

    @property
    def proxy_host(self) -> Host:
        """The host that links listen on."""

    def seed(self, purpose: str) -> int:
        """A number derived from the run's seed and the purpose."""

    def helper(self, module: str, arguments: Mapping[str, Any]) -> AbstractContextManager[int]:
        """Run `harness.rank.<module>.main(arguments)` in a process with torch; yields its pid when it is ready."""

    @property
    def private_network(self) -> bool:
        """Whether this world has its network namespace, and so the namespace's counters, to itself."""

    def master_join_begun_since(self, time_ns: int) -> bool:
        """Whether a master was in a join, or began one, at or after that time: it wanted the port."""


Layer = Literal["link", "rank", "port", "host"]
"""Where a fault works: on a link, on a rank's process, on the master's port, or on a host."""

Wants = Literal["anything", "connecting", "closing", "nobody"]
"""What must come while a fault is held, so that it touches something: anything, a new connection, or the end of one.
`nobody`: it can be injected only where no master listens."""


class FaultMember(ABC):
    """One kind of fault.

    Attributes:
        declaration: its kind and its attributes.
        layer: where it works.
        toxic: whether it takes `stream` and `toxicity` (True only on links).
        engine: whether it needs the embedded proxy engine, because the real server has no such toxic.
        needs: the capabilities that its world must have (names of `World.capabilities`); else the cell is skipped.
        directly: why it works under `route: direct` only; empty if it works with links too.
        restarts_ranks: whether its healing, unless the play is ending, starts the next life of the ranks that it ended.
            The nemesis does so after the fault's context has exited.
        suspends_ranks: whether its ranks neither run nor begin while it is held.
        wants: what must come for it to touch something; exploration places it accordingly.
        ended_ranks: the ranks whose processes it ended; set by `hold` before it yields if `restarts_ranks`.
    """

    declaration: ClassVar[Declaration]
    layer: ClassVar[Layer]
    toxic: ClassVar[bool] = False
    engine: ClassVar[bool] = False
    needs: ClassVar[frozenset[str]] = frozenset()
    directly: ClassVar[str] = ""
    restarts_ranks: ClassVar[bool] = False
    suspends_ranks: ClassVar[bool] = False
    wants: ClassVar[Wants] = "anything"

    def __init__(self, fault: Fault) -> None:
        self.fault = fault
        self.ended_ranks: tuple[int, ...] = ()

    @classmethod
    def problems(cls, attributes: Mapping[str, Any]) -> Sequence[str]:
        """What is wrong with attributes that are valid one by one; the loader reports it at the fault."""
        return ()

    @classmethod
    def needed(cls, fault: Fault) -> frozenset[str]:
        """The capabilities that this fault needs: `needs`, and those that its attributes add."""
        return cls.needs

    @classmethod
    def machine_needs(cls, fault: Fault) -> tuple[str, ...]:
        """What this fault needs of the machine: `declaration.needs`, or less if its attributes ask for less."""
        return cls.declaration.needs

    def try_here(self) -> None:
        """Raise Unsupported where this machine cannot inject it: a program is missing, or a trial shows it.

        Called where a controller of its world would be, and without one: `validate` asks it too.
        """
        for need in self.machine_needs(self.fault):
            if need in network_tools.PACKAGES:
                network_tools.path_of(need)

    def arm(self, context: FaultContext) -> None:
        """Prepare before any rank starts; most faults only look whether the machine can inject them."""
        self.try_here()

    @abstractmethod
    def hold(self, context: FaultContext) -> AbstractContextManager[Callable[[], Evidence]]:
        """Inject on entry, and verify it; yield a function that returns the evidence so far; heal on exit.

        Raises NothingToHit if there is nothing to hit, ProxyLost or HarnessError if it cannot be injected.
        The yielded function is called once, just before healing.
        """


FAULTS: Registry[type[FaultMember]] = Registry("fault", "harness.faults", "rdzv_harness.faults", FaultMember)
