"""A world of hosts, each a network namespace with an address, a name and name files of its own, joined by a switch."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, closing, contextmanager
from pathlib import Path
from typing import Any

from harness.machine.launch.rank_launcher import RankLauncher
from harness.machine.names import name_files
from harness.machine.network import network
from harness.machine.network.network import PROXY, Network, NetworkHost
from harness.machine.process.children import Children
from harness.scenario.scenario import Scenario
from harness.values.attribute import Declaration
from harness.values.errors import Unsupported
from harness.worlds.base import (
    WORLDS,
    Host,
    Isolation,
    LaunchOrder,
    RankHandle,
    World,
    WorldResources,
    WorldSession,
    handles,
    launcher_of,
    places,
)


class NetworkSession(WorldSession):
    """Ranks of one play as processes of hosts of their own."""

    def __init__(
        self,
        children: Children,
        launcher: RankLauncher,
        describe: Callable[[], Mapping[str, Any]],
        network: Network,
        scenario: Scenario,
        run_dir: Path,
    ) -> None:
        super().__init__(children)
        self._launcher = launcher
        self._describe = describe
        self._network = network
        self._run_dir = run_dir
        self._family = scenario.world.family
        self._master, self._names = places(scenario)

    def describe(self) -> Mapping[str, Any]:
        return {**self._describe(), "family": self._family}

    @property
    def hosts(self) -> Sequence[Host]:
        return tuple(self._network.hosts.values())

    def host_of(self, rank: int) -> Host:
        return self._host(self._names[rank])

    @property
    def master_host(self) -> Host:
        return self._host(self._master)

    @property
    def endpoint_host(self) -> str:
        return self._master

    @property
    def proxy_host(self) -> Host:
        return self._host(PROXY)

    def launch(self, orders: Sequence[LaunchOrder], plan: Path) -> Sequence[RankHandle]:
        made = self._launcher.make(orders, plan, self._run_dir, lambda rank: self._entry(self._names[rank]))
        return handles(orders, made)

    def helper(self, module: str, arguments: Mapping[str, Any]) -> AbstractContextManager[int]:
        return self._launcher.helper(module, arguments, self._run_dir, self._entry(self._master))

    def _host(self, name: str) -> NetworkHost:
        return self._network.hosts[name]

    def _entry(self, name: str) -> Mapping[str, Any]:
        """What a process needs to enter a host, as `harness.rank.enter_host` wants it."""
        host = self._host(name)
        return {"name": name, "network": host.namespace, "etc": str(host.etc)}


@WORLDS.register("namespaces")
class Namespaces(World):
    """Ranks as processes of hosts of their own; all masters share one host.

    The controller's own network is the host of the proxy server, so what passes a link crosses the switch twice.
    """

    declaration = Declaration(
        kind="namespaces",
        needs=("world",),
        summary="Each rank is on a host of its own: a network namespace with an address, a name and a hosts file.",
        example="world: {size: 4, kind: namespaces}",
        details="All masters share one host, `r0`; other ranks are on `r1`, `r2` ... The proxy server is on `px`. "
        "Needs private namespaces, and a kernel with bridge and veth.",
    )
    capabilities = frozenset(
        {"kill", "pause", "restart", "ports", "file_limit", "helper", "hosts", "address_change", "shared_files"}
    )
    isolation = "private"

    def __init__(self, resources: WorldResources) -> None:
        super().__init__(resources)
        self._launcher = launcher_of(resources)
        self._missing: str | None = None

    @contextmanager
    def open(self, scenario: Scenario, run_dir: Path) -> Iterator[WorldSession]:
        if self.missing():
            raise Unsupported("world", self.missing())
        family = scenario.world.family
        _, names = places(scenario)
        with closing(Network(list(dict.fromkeys(names)), family, run_dir.absolute() / "etc")) as hosts:
            addresses = {host.name: host.address for host in hosts.hosts.values()}
            for host in hosts.hosts.values():
                name_files.write(host.etc, addresses)
            yield NetworkSession(self.resources.children, self._launcher, self.describe, hosts, scenario, run_dir)

    def describe(self) -> Mapping[str, Any]:
        return {
            "kind": "namespaces",
            "isolation": str(self.resources.isolation),
            "private_network": True,
            "lookups": "answered at once (each host's hosts file)",
            "start_mode": self._launcher.start_mode,
        }

    def versions(self) -> Mapping[str, Any]:
        return self._launcher.versions()

    def missing(self) -> str:
        if self._missing is None:
            self._missing = self.missing_under(self.resources.isolation)
        return self._missing

    def close(self) -> None:
        self._launcher.close()

    @classmethod
    def missing_under(cls, isolation: Isolation) -> str:
        if isolation.kind != "private":
            return (
                f"hosts need private namespaces, and this is {isolation}; "
                "give --isolation auto and no --toxiproxy, and see `rdzv-harness doctor`"
            )
        return network.missing()
