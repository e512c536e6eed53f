"""What a fault promises: it is held, letting go heals it, and it can tell whether it touched anything."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any, ClassVar, Protocol

from harness.proxies.base import Link
from harness.registry import Registry
from harness.scenario import Fault
from harness.words.attribute import Declaration
from harness.words.endpoint import Endpoint

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


class Surroundings(Protocol):
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
        """The real endpoint of the world's default handler."""

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
        healing_ends_connections: for the documentation of those that cannot be undone silently.
    """

    declaration: ClassVar[Declaration]
    layer: ClassVar[str]
    toxic: ClassVar[bool] = False

    def __init__(self, fault: Fault) -> None:
        self.fault = fault
        # Set by the nemesis before it lets go at the end of the play, where nobody is started again.
        self.end_of_play = False

    @classmethod
    def problems(cls, attributes: Mapping[str, Any]) -> Sequence[str]:
        """What is wrong with attributes that fit one by one but not together; the loader shows it at the fault."""
        return ()

    def arm(self, surroundings: Surroundings) -> None:  # noqa: B027 - most members have nothing to do here
        """Prepare before any rank starts; most faults need nothing."""

    @abstractmethod
    def hold(self, surroundings: Surroundings) -> AbstractContextManager[Callable[[], Evidence]]:
        """Inject on entry, verified; yield a function that tells the evidence so far; heal on exit.

        Raises NothingToHit if there is nothing to hit, ProxyLost or HarnessError if it cannot be injected.
        The yielded function is called once, just before healing.
        """


FAULTS: Registry[type[FaultMember]] = Registry("fault", "harness.faults")
