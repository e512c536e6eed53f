"""A world of plain processes on one host, cloned from a zygote that has imported torch once."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.machine.launch.rank_launcher import RankLauncher
from harness.machine.process.children import Children
from harness.scenario.scenario import Scenario
from harness.values.attribute import Declaration
from harness.worlds.base import (
    WORLDS,
    Host,
    LaunchOrder,
    RankHandle,
    World,
    WorldResources,
    WorldSession,
    handles,
    launcher_of,
)


@dataclass(frozen=True)
class OneHost:
    """The machine that all ranks of a world share; implements `harness.worlds.base.Host`."""

    name: str = "localhost"
    address: str = "127.0.0.1"

    def inside(self) -> AbstractContextManager[None]:
        return nullcontext()


ONE_HOST = OneHost()


class OneHostSession(WorldSession):
    """Ranks of one play as processes of one host."""

    def __init__(
        self,
        children: Children,
        launcher: RankLauncher,
        describe: Callable[[], Mapping[str, Any]],
        run_dir: Path,
    ) -> None:
        super().__init__(children)
        self._launcher = launcher
        self._describe = describe
        self._run_dir = run_dir

    def describe(self) -> Mapping[str, Any]:
        return self._describe()

    @property
    def hosts(self) -> Sequence[Host]:
        return (ONE_HOST,)

    def host_of(self, rank: int) -> Host:
        return ONE_HOST

    @property
    def master_host(self) -> Host:
        return ONE_HOST

    @property
    def endpoint_host(self) -> str:
        return ONE_HOST.address

    @property
    def proxy_host(self) -> Host:
        return ONE_HOST

    def launch(self, orders: Sequence[LaunchOrder], plan: Path) -> Sequence[RankHandle]:
        return handles(orders, self._launcher.make(orders, plan, self._run_dir))

    def helper(self, module: str, arguments: Mapping[str, Any]) -> AbstractContextManager[int]:
        return self._launcher.helper(module, arguments, self._run_dir)


@WORLDS.register("processes")
class Processes(World):
    """Ranks as processes of one host."""

    declaration = Declaration(
        kind="processes",
        summary="Each rank is a process of this machine, in a private network where the kernel allows.",
        example="world: {size: 4, kind: processes}",
        details="In private user, network, pid and mount namespaces if the kernel allows, else on the host.",
    )
    capabilities = frozenset({"kill", "pause", "restart", "ports", "file_limit", "helper", "loopback", "shared_files"})

    def __init__(self, resources: WorldResources) -> None:
        super().__init__(resources)
        self._launcher = launcher_of(resources)

    @contextmanager
    def open(self, scenario: Scenario, run_dir: Path) -> Iterator[WorldSession]:
        yield OneHostSession(self.resources.children, self._launcher, self.describe, run_dir)

    def describe(self) -> Mapping[str, Any]:
        isolation = self.resources.isolation
        private = isolation.kind == "private"
        return {
            "kind": self.declaration.kind,
            "isolation": str(isolation),
            "private_network": private,
            "lookups": "answered at once (private network)" if private else "RES_OPTIONS=timeout:1 attempts:1",
            "start_mode": self._launcher.start_mode,
        }

    def versions(self) -> Mapping[str, Any]:
        return self._launcher.versions()

    def close(self) -> None:
        self._launcher.close()
