"""A world of containers: each rank a process of its own container, on a host that is a container too."""

from __future__ import annotations

import contextlib
import os
import select
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path, PurePath, PurePosixPath
from typing import Any

from harness.machine.docker import engine, images, leases, mounts
from harness.machine.docker.client import Client
from harness.machine.docker.hosts import MOST_RANKS, PROXY, ContainerHost, ContainerNetwork
from harness.machine.docker.proxy import ContainerEngineLauncher, ContainerServerLauncher
from harness.machine.docker.ranks import RUN, ContainerLauncher, ContainerProcess, SharedRunDir
from harness.machine.names import name_files
from harness.machine.process import slots, stalls
from harness.machine.process.exits import Exits
from harness.scenario.scenario import Scenario
from harness.values.attribute import Declaration
from harness.values.errors import HarnessError, Unsupported
from harness.worlds.base import WORLDS, Isolation, LaunchOrder, RankHandle, World, WorldResources, WorldSession, places

_EVERYBODY = frozenset({"kill", "pause", "restart", "helper", "engine"})
_ROOT = frozenset({"ports", "hosts", "address_change"})
"""What needs to look into the network of a host."""

_LIMITING = frozenset({"file_limit"})
"""What needs to set the limits of a process of another user, which root may not everywhere."""

_CAP_SYS_RESOURCE = 24

MOST_WORLDS, TURN_WITHIN_NS = 2, 100_000_000_000
"""The engine does one thing at a time: of more worlds at once each took twice as long. Who waits longer is stuck."""

HELPER_LIMIT_NS = 60_000_000_000
"""A helper imports torch and opens one store: two seconds, many more where many import at once."""

_AT_ONCE = 8


def _capabilities() -> frozenset[str]:
    """What a world of containers can do for this user."""
    status = Path("/proc/self/status").read_text()
    effective = next((int(line.split()[1], 16) for line in status.splitlines() if line.startswith("CapEff:")), 0)
    limiting = _LIMITING if effective >> _CAP_SYS_RESOURCE & 1 or os.geteuid() != 0 else frozenset()
    return _EVERYBODY | limiting | (_ROOT if os.geteuid() == 0 else frozenset())


@WORLDS.register("containers")
class Containers(World):
    """Ranks in containers of a Docker engine, on hosts with addresses of their own, which outlive them."""

    declaration = Declaration(
        kind="containers",
        needs=("engine",),
        summary="Each rank is a container: read-only, without privileges, within limits, on a host of its own.",
        example="world: {size: 4, kind: containers}",
        details="All masters share one host, `r0`; other ranks are on `r1`, `r2` ... The proxy server is on `px`. "
        "Needs a Docker engine on this machine, and the images of `rdzv-harness docker build`.",
    )
    capabilities = _capabilities()
    isolation = "host"

    def __init__(self, resources: WorldResources) -> None:
        super().__init__(resources)
        self._missing: str | None = None
        self._kept: _Kept | None = None
        self._exits = Exits()
        self._exits.also(resources.children.fileno())

    @contextlib.contextmanager
    def open(self, scenario: Scenario, run_dir: Path) -> Iterator[WorldSession]:
        if self.missing():
            raise Unsupported(engine.NEED, self.missing())
        if refused := self.refuses(scenario):
            raise Unsupported("world", refused)
        with ExitStack() as holding:
            session = ContainerSession(
                self.resources, self._warm(), self._exits, self.describe(), scenario, run_dir.absolute(), holding
            )
            holding.callback(self._exits.forget)
            yield session

    def describe(self) -> Mapping[str, Any]:
        return {
            "kind": "containers",
            "isolation": self.missing() or f"Docker {self._warm().engine.version}",
            "private_network": True,
            "lookups": "answered at once (each host's hosts file)",
            "start_mode": "a new interpreter in a new container each",
        }

    def versions(self) -> Mapping[str, Any]:
        return {} if self.missing() else self._warm().versions(self.resources.needs_torch)

    @classmethod
    def refuses(cls, scenario: Scenario) -> str:
        if scenario.world.family != "ipv4":
            return "worlds of containers have IPv4 addresses only; give --world namespaces"
        if any(int(name[1:]) >= MOST_RANKS for name in places(scenario)[1]):
            return f"worlds of containers have up to {MOST_RANKS} ranks; give --world namespaces"
        return ""

    @classmethod
    def missing_under(cls, isolation: Isolation) -> str:
        try:
            with engine.connect() as client:
                images.require(client)
        except Unsupported as unsupported:
            return unsupported.reason
        if engine.find().local:
            return ""
        return (
            "folders of this machine cannot be mounted in an engine elsewhere; name one of this machine in DOCKER_HOST"
        )

    def missing(self) -> str:
        if self._missing is None:
            self._missing = self.missing_under(self.resources.isolation)
        return self._missing

    def server_launcher(self, embedded: bool = False) -> ContainerServerLauncher:
        return self._warm().places[embedded]

    def close(self) -> None:
        kept, self._kept = self._kept, None
        if kept is not None:
            kept.close()

    def _warm(self) -> _Kept:
        if self._kept is None:
            self._kept = _Kept(self.resources.interpreter, self.resources.log_dir)
        return self._kept


class _Kept:
    """What outlives a play: the engine's client, the lease, the network with its hosts, the proxy server's place."""

    def __init__(self, interpreter: Path, log_dir: Path) -> None:
        self.engine = engine.find()
        self.python = mounts.for_container(interpreter)
        self.client = Client(self.engine.url, self.engine.api)
        self.user = mounts.NOBODY if os.geteuid() == 0 else f"{os.geteuid()}:{os.getegid()}"
        leases.sweep(self.client)
        self.lease = leases.take(self.engine.url)
        self.network = ContainerNetwork(self.client, self.lease, images.RANK, self.user)
        self.processes = ContainerLauncher(self.client, self.lease, images.RANK, self.user, self.python)
        self.places: Mapping[bool, ContainerServerLauncher] = {
            embedded: kind(self.client, self.lease, image, self.user, self._proxy_host, log_dir)
            for embedded, kind, image in (
                (False, ContainerServerLauncher, images.PROXY),
                (True, ContainerEngineLauncher, images.RANK),
            )
        }
        self._versions: Mapping[str, Any] | None = None

    def versions(self, needs_torch: bool) -> Mapping[str, Any]:
        if self._versions is None:
            self._versions = self.processes.versions(needs_torch)
        return self._versions

    def close(self) -> None:
        try:
            leases.remove_world(self.client, self.lease.world)
            leases.release(self.lease)
        finally:
            self.client.close()

    def _proxy_host(self) -> ContainerHost:
        self.network.need([PROXY])
        return self.network.hosts[PROXY]


class ContainerSession(WorldSession):
    """One play: its hosts, its run directory, and the containers of its ranks.

    Args:
        exits: sees the ends of containers.
        holding: takes what must be undone after the play, also if building it fails.
    """

    def __init__(
        self,
        resources: WorldResources,
        kept: _Kept,
        exits: Exits,
        description: Mapping[str, Any],
        scenario: Scenario,
        run_dir: Path,
        holding: ExitStack,
    ) -> None:
        super().__init__(resources.children)
        self._doorbell_fd = resources.doorbell_fd
        self._needs_torch = resources.needs_torch
        self._kept = kept
        self._exits = exits
        self._description = description
        self._master, self._names = places(scenario)
        self._contained: list[ContainerProcess] = []
        holding.callback(os.close, slots.acquire(leases.folder(), MOST_WORLDS, TURN_WITHIN_NS))
        kept.network.need([PROXY, *self._names])
        holding.callback(kept.network.refresh)
        self._run = SharedRunDir(run_dir, kept.user, writable=scenario.job is not None)
        holding.callback(self._run.close)
        exits.also(self._run.bell_fd)
        self._settle_in(run_dir / "etc")
        holding.callback(self._remove_ranks)

    def describe(self) -> Mapping[str, Any]:
        return self._description

    @property
    def hosts(self) -> Sequence[ContainerHost]:
        return tuple(self._host(name) for name in dict.fromkeys([PROXY, *self._names]))

    def host_of(self, rank: int) -> ContainerHost:
        return self._host(self._names[rank])

    @property
    def master_host(self) -> ContainerHost:
        return self._host(self._master)

    @property
    def endpoint_host(self) -> str:
        return self._master

    @property
    def proxy_host(self) -> ContainerHost:
        return self._host(PROXY)

    def launch(self, orders: Sequence[LaunchOrder], plan: Path) -> Sequence[RankHandle]:
        self._run.readable(plan)
        with ThreadPoolExecutor(_AT_ONCE) as threads:
            handles = list(threads.map(lambda order: self._start(order, plan.absolute()), orders))
        for handle in handles:
            self._exits.watch(handle.pid, self._of(handle.pid).status)
        return handles

    @contextlib.contextmanager
    def helper(self, module: str, arguments: Mapping[str, Any]) -> Iterator[int]:
        if not self._needs_torch:
            raise Unsupported(module, "needs torch; this subject has none")
        helper = self._kept.processes.helper(self._run, self.master_host, module, arguments)
        with helper as (contained, ready_fd):
            _await_line(ready_fd, contained)
            stalls.watch(contained.pid, f"the helper {module}")
            try:
                yield contained.pid
            finally:
                stalls.forget(contained.pid)

    def seen_by_ranks(self, run_dir: Path) -> PurePath:
        return PurePosixPath(RUN)

    def python_of_ranks(self, python: str) -> str:
        return self._kept.python.executable

    def fileno(self) -> int:
        return self._exits.fileno()

    def reap(self) -> list[tuple[int, int]]:
        self._ring()
        return [*self.children.reap(), *self._exits.collect()]

    def kill(self, pid: int) -> bool:
        return self._exits.kill(pid) or self.children.kill(pid)

    def _ring(self) -> None:
        """Pass on what ranks have rung."""
        with contextlib.suppress(BlockingIOError):
            while True:
                os.write(self._doorbell_fd, os.read(self._run.bell_fd, 4096))

    def _host(self, name: str) -> ContainerHost:
        return self._kept.network.hosts[name]

    def _settle_in(self, etc: Path) -> None:
        addresses = {host.name: host.address for host in self.hosts}
        for host in self.hosts:
            host.etc = etc / host.name
            name_files.write(host.etc, addresses)
            host.ranks = [rank for rank, name in enumerate(self._names) if name == host.name]
            host.containers = {}

    def _start(self, order: LaunchOrder, plan: Path) -> RankHandle:
        host = self.host_of(order.rank)
        contained, control_fd = self._kept.processes.rank(self._run, host, order.rank, order.life, order.env, plan)
        self._contained.append(contained)
        host.containers[order.rank] = contained
        ops_path = self._run.path / "ops" / f"rank-{order.rank}.life-{order.life}.jsonl"
        return RankHandle(order.rank, order.life, contained.pid, control_fd, ops_path)

    def _of(self, pid: int) -> ContainerProcess:
        return next(one for one in reversed(self._contained) if one.pid == pid)

    def _remove_ranks(self) -> None:
        with ThreadPoolExecutor(_AT_ONCE) as threads:
            list(threads.map(ContainerProcess.remove, self._contained))


def _await_line(fd: int, contained: ContainerProcess) -> None:
    """Until a helper says that it is ready; raises HarnessError if it ends before, or takes too long."""
    pidfd = os.pidfd_open(contained.pid)
    try:
        poll = select.poll()
        poll.register(fd, select.POLLIN)
        poll.register(pidfd, select.POLLIN)
        if not any(ready == fd for ready, _ in poll.poll(HELPER_LIMIT_NS / 1e6)) or not os.read(fd, 4096):
            raise HarnessError(f"a helper was not ready; see {contained.log_path}")
    finally:
        os.close(pidfd)
