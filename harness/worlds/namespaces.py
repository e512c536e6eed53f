"""A world of hosts, each a network namespace with an address, a name and name files of its own, joined by a switch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from harness.machine.launch.rank_launcher import RankLauncher
from harness.machine.names import name_files
from harness.machine.network import network
from harness.machine.network.network import PROXY, Network, NetworkHost
from harness.machine.process.children import Children
from harness.scenario.scenario import Scenario
from harness.values.attribute import Declaration
from harness.values.errors import HarnessError, Unsupported
from harness.worlds.base import WORLDS, Host, Isolation, LaunchOrder, RankHandle, World, handles, places


@WORLDS.register("namespaces")
class Namespaces(World):
    """Ranks as processes of hosts of their own; all who are told rank 0 share the master's host.

    The controller's own network is the host of the proxy server, so what passes a link crosses the switch twice.
    """

    declaration = Declaration(
        kind="namespaces",
        summary="Each rank is on a host of its own: a network namespace with an address, a name and a hosts file.",
        example="world: {size: 4, kind: namespaces}",
        details="All who are told rank 0 share the master's host, `r0`; others are on `r1`, `r2` ... The proxy server "
        "is on `px`. Needs private namespaces, and a kernel with bridge and veth.",
    )
    capabilities = frozenset({"kill", "pause", "restart", "ports", "file_limit", "helper", "hosts", "address_change"})
    isolation = "private"

    def __init__(
        self,
        children: Children,
        interpreter: Path,
        isolation: Isolation,
        doorbell_fd: int,
        log_dir: Path,
        needs_torch: bool,
    ) -> None:
        self.children = children
        self._isolation = isolation
        self._launcher = RankLauncher(children, interpreter, doorbell_fd, log_dir / "zygote.log", needs_torch)
        self._missing: str | None = None
        self._family = "ipv4"
        self._network: Network | None = None
        self._names: Sequence[str] = ()
        self._master = ""

    def describe(self) -> Mapping[str, Any]:
        return {
            "kind": "namespaces",
            "isolation": str(self._isolation),
            "private_network": True,
            "family": self._family,
            "lookups": "answered at once (each host's hosts file)",
            "start_mode": self._launcher.start_mode,
        }

    def versions(self) -> Mapping[str, Any]:
        return self._launcher.versions()

    def missing(self) -> str:
        if self._missing is None:
            self._missing = self._look_for_missing()
        return self._missing

    # -- one play ----------------------------------------------------------------------------------------------

    def stage(self, scenario: Scenario, run_dir: Path) -> None:
        if self.missing():
            raise Unsupported("world", self.missing())
        self._family = scenario.world.family
        self._master, self._names = places(scenario)
        self._network = Network(list(dict.fromkeys(self._names)), self._family, run_dir.absolute() / "etc")
        addresses = {host.name: host.address for host in self._network.hosts.values()}
        for host in self._network.hosts.values():
            name_files.write(host.etc, addresses)

    def strike(self) -> None:
        if self._network is not None:
            self._network.close()
            self._network = None

    @property
    def hosts(self) -> Sequence[Host]:
        return () if self._network is None else tuple(self._network.hosts.values())

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

    # -- ranks -------------------------------------------------------------------------------------------------

    def launch(self, orders: Sequence[LaunchOrder], plan: Path, run_dir: Path) -> Sequence[RankHandle]:
        return handles(orders, self._launcher.make(orders, plan, run_dir, lambda rank: self._entry(self._names[rank])))

    def helper(self, module: str, arguments: Mapping[str, Any], run_dir: Path) -> AbstractContextManager[int]:
        return self._launcher.helper(module, arguments, run_dir, self._entry(self._master))

    def close(self) -> None:
        self.strike()
        self._launcher.close()

    def _host(self, name: str) -> NetworkHost:
        if self._network is None:
            raise HarnessError("no hosts are there; stage a play first")
        return self._network.hosts[name]

    def _entry(self, name: str) -> Mapping[str, Any]:
        """What a process needs to enter a host, as `harness.rank.enter_host` wants it."""
        host = self._host(name)
        return {"name": name, "network": host.namespace, "etc": str(host.etc)}

    def _look_for_missing(self) -> str:
        if self._isolation.kind != "private":
            return (
                f"hosts need private namespaces, and this is {self._isolation}; "
                "give --isolation auto and no --toxiproxy, and see `rdzv-harness doctor`"
            )
        return network.missing()
