"""What a world promises: it launches ranks on hosts, sees their ends, and says what can be done to them."""

from __future__ import annotations

import json
import os
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path, PurePath
from typing import Any, ClassVar, Protocol

from harness.machine.launch.rank_launcher import LaunchedRank, RankLauncher
from harness.machine.launch.zygote import ANY_BACKEND
from harness.machine.process.children import Children
from harness.machine.toxiproxy.server import ServerLauncher
from harness.registry import Registry
from harness.scenario.scenario import Scenario
from harness.values.attribute import Declaration


@dataclass(frozen=True)
class Isolation:
    """What the kernel gave the controller: `private` namespaces, or the `host` and why."""

    kind: str
    reason: str = ""
    user_namespace: bool = False

    @classmethod
    def from_environment(cls) -> Isolation:
        """As boot tells it; without boot, the host."""
        given = json.loads(os.environ.get("RDZV_ISOLATION", '{"kind": "host", "reason": "not started by boot"}'))
        return cls(given["kind"], given.get("reason", ""), given.get("user_namespace", False))

    def __str__(self) -> str:
        if self.kind == "private":
            return "private namespaces" + (" (as an ordinary user)" if self.user_namespace else " (as root)")
        return f"the host's network and processes ({self.reason})"


@dataclass(frozen=True)
class LaunchOrder:
    """One rank process to make."""

    rank: int
    life: int
    fresh: bool
    env: Mapping[str, str] = field(default_factory=dict)


@dataclass
class RankHandle:
    """A rank process that was made, and the pipe to tell it things.

    Attributes:
        pid: in the controller's pid namespace; stays reserved until the world has reaped it.
        control_fd: the write end of its control pipe; -1 once closed.
    """

    rank: int
    life: int
    pid: int
    control_fd: int
    ops_path: Path

    def tell(self, message: Mapping[str, Any]) -> None:
        """Send one line; a rank that is gone hears nothing, and its end is seen elsewhere."""
        if self.control_fd < 0:
            return
        try:
            os.write(self.control_fd, json.dumps(message).encode() + b"\n")
        except (BrokenPipeError, BlockingIOError):
            self.close()

    def close(self) -> None:
        """Close the pipe; a rank that still waits on it ends at once."""
        if self.control_fd >= 0:
            os.close(self.control_fd)
            self.control_fd = -1


def handles(orders: Sequence[LaunchOrder], launched: Sequence[LaunchedRank]) -> Sequence[RankHandle]:
    """Of the processes that a launcher made for these orders."""
    return [
        RankHandle(order.rank, order.life, one.pid, one.control_fd, one.ops_path)
        for order, one in zip(orders, launched, strict=True)
    ]


def launcher_of(resources: WorldResources) -> RankLauncher:
    """A launcher of rank processes that are the controller's children."""
    log_path = resources.log_dir / "zygote.log"
    return RankLauncher(
        resources.children,
        resources.interpreter,
        resources.doorbell_fd,
        log_path,
        resources.needs_torch,
        resources.subject,
    )


def places(scenario: Scenario) -> tuple[str, Sequence[str]]:
    """The name of the master's host, and by rank the name of the host that each lives on.

    All processes that are master at the world's own endpoint are on one host, `r` and the lowest of their numbers.
    """
    ranks = range(scenario.world.size)
    masters = {
        rank
        for rank in ranks
        if any(config.rank == 0 and config.host is None for config in scenario.world.ranks[rank].handlers.values())
    }
    master = f"r{min(masters, default=0)}"
    return master, [master if rank in masters else f"r{rank}" for rank in ranks]


class Host(Protocol):
    """A machine of the world, with a network, an address and a name of its own.

    Worlds of one host have one, which all ranks share.
    """

    @property
    def name(self) -> str:
        """What ranks call it: `r0`, `px`; `localhost` in a world of one host."""

    @property
    def address(self) -> str:
        """Its numeric address as of now; `address_change` may move it."""

    def inside(self) -> AbstractContextManager[None]:
        """Meanwhile this process's network is the host's: sockets that are made, /proc/self/net, `nft`, `tc`, `ip`."""


class WorldHost(Host, Protocol):
    """A host of a world that has the capability `hosts`.

    Attributes:
        device: its network interface inside, `eth0`.
        etc: the folder whose `hosts` and `resolv.conf` lie over /etc's in every process of this host; rewritten in
            place (same inode) they change what its processes resolve.
    """

    device: str
    etc: Path

    def unplug(self) -> None:
        """Pull its cable: the interface stays, and nothing passes; raises HarnessError."""

    def plug(self) -> None:
        """Put its cable back; raises HarnessError."""

    def move(self) -> str:
        """Give it another address, taken away the old one; the new address. Names are not changed by this."""


@dataclass(frozen=True)
class WorldResources:
    """What a controller gives each of its worlds.

    Attributes:
        children: the controller's; ranks are among them, except where a world says otherwise.
        interpreter: the ranks' Python.
        doorbell_fd: write end of the pipe that ranks ring.
        log_dir: for the logs of what outlives a play.
        needs_torch: False for subjects that do without.
        subject: what the ranks test.
    """

    children: Children
    interpreter: Path
    isolation: Isolation
    doorbell_fd: int
    log_dir: Path
    needs_torch: bool
    subject: str = ANY_BACKEND


class WorldSession(ABC):
    """An open world: the hosts and ranks of one play."""

    def __init__(self, children: Children) -> None:
        self.children = children

    @abstractmethod
    def describe(self) -> Mapping[str, Any]:
        """JSON for the `begin` operation: kind, isolation, private_network, lookups, start_mode."""

    @property
    @abstractmethod
    def hosts(self) -> Sequence[Host]:
        """All hosts that ranks live on, and the proxy server's."""

    @abstractmethod
    def host_of(self, rank: int) -> Host:
        """Where a rank lives."""

    @property
    @abstractmethod
    def master_host(self) -> Host:
        """Where the master lives: the endpoint is there."""

    @property
    @abstractmethod
    def endpoint_host(self) -> str:
        """What ranks get as the endpoint's host, unless the scenario says: the master host's name or address."""

    @property
    @abstractmethod
    def proxy_host(self) -> Host:
        """Where links listen."""

    @abstractmethod
    def launch(self, orders: Sequence[LaunchOrder], plan: Path) -> Sequence[RankHandle]:
        """Make rank processes that wait for `begin`; raises HarnessError."""

    @abstractmethod
    def helper(self, module: str, arguments: Mapping[str, Any]) -> AbstractContextManager[int]:
        """A process on the master's host that runs `harness.rank.<module>`; yields its pid once ready, and ends it."""

    def seen_by_ranks(self, run_dir: Path) -> PurePath:
        """The path that ranks have of the run directory: this machine's, unless their file system is another."""
        return run_dir.absolute()

    def python_of_ranks(self, python: str) -> str:
        """The path that ranks have of their interpreter: this machine's, unless their file system is another."""
        return python

    def fileno(self) -> int:
        """Readable when a rank may have ended; `reap` empties it."""
        return self.children.fileno()

    def reap(self) -> list[tuple[int, int]]:
        """Every process that ended since the last call, with its wait status; never blocks."""
        return self.children.reap()

    def kill(self, pid: int) -> bool:
        """SIGKILL to a rank process that has not been reaped; False if there is none."""
        return self.children.kill(pid)


class World(ABC):
    """One kind of world, kept warm by a controller over many plays.

    Making one is cheap: what it keeps warm is made when it is needed first.

    Attributes:
        capabilities: what can be done to its ranks and hosts; a scenario that needs more is skipped by name.
        isolation: what its controller needs: `private` namespaces, the `host`'s, or `any` (private where possible).
    """

    declaration: ClassVar[Declaration]
    capabilities: ClassVar[frozenset[str]]
    isolation: ClassVar[str] = "any"

    def __init__(self, resources: WorldResources) -> None:
        self.resources = resources

    @abstractmethod
    def open(self, scenario: Scenario, run_dir: Path) -> AbstractContextManager[WorldSession]:
        """Build the hosts of a play, and take them down again on exit; raises Unsupported or HarnessError."""

    @abstractmethod
    def describe(self) -> Mapping[str, Any]:
        """What its sessions will say of themselves, as far as that is known before one is open."""

    @abstractmethod
    def versions(self) -> Mapping[str, Any]:
        """Of the ranks' interpreter: python, torch, torch_file."""

    @abstractmethod
    def close(self) -> None:
        """End what is kept warm over plays; a later session makes it anew."""

    @classmethod
    def refuses(cls, scenario: Scenario) -> str:
        """Why no world of this kind can play a scenario, on any machine, ending with what to do; empty if it can."""
        return ""

    @classmethod
    def missing_under(cls, isolation: Isolation) -> str:
        """Why this machine cannot have such a world, ending with what to do; empty if it can.

        Args:
            isolation: of this process.
        """
        return ""

    def missing(self) -> str:
        """`missing_under` for its controller; looked at once."""
        return ""

    def server_launcher(self, embedded: bool = False) -> ServerLauncher | None:
        """Where a proxy server of our own runs, real or embedded; None is the controller's own network, as a child."""
        return None


WORLDS: Registry[type[World]] = Registry("world", "harness.worlds", "rdzv_harness.worlds", World)
