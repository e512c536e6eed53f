"""A world of plain processes on one host, cloned from a zygote that has imported torch once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.machine.launch.rank_launcher import RankLauncher
from harness.machine.process.children import Children
from harness.values.attribute import Declaration
from harness.worlds.base import WORLDS, Host, Isolation, LaunchOrder, RankHandle, World, handles


@dataclass(frozen=True)
class OneHost:
    """The machine that all ranks of a world share; implements `harness.worlds.base.Host`."""

    name: str = "localhost"
    address: str = "127.0.0.1"

    def inside(self) -> AbstractContextManager[None]:
        return nullcontext()


ONE_HOST = OneHost()


@WORLDS.register("processes")
class Processes(World):
    """Ranks as processes of one host.

    Args:
        interpreter: the ranks' Python.
        needs_torch: False for subjects that do without.
        doorbell_fd: write end of the pipe that ranks ring.
    """

    declaration = Declaration(
        kind="processes",
        summary="Each rank is a process of this machine, in a private network where the kernel allows.",
        example="world: {size: 4, kind: processes}",
        details="In private user, network, pid and mount namespaces if the kernel allows, else on the host.",
    )
    capabilities = frozenset({"kill", "pause", "restart", "ports", "file_limit", "helper", "loopback"})

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

    def describe(self) -> Mapping[str, Any]:
        private = self._isolation.kind == "private"
        return {
            "kind": "processes",
            "isolation": str(self._isolation),
            "private_network": private,
            "lookups": "answered at once (private network)" if private else "RES_OPTIONS=timeout:1 attempts:1",
            "start_mode": self._launcher.start_mode,
        }

    def versions(self) -> Mapping[str, Any]:
        return self._launcher.versions()

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

    def launch(self, orders: Sequence[LaunchOrder], plan: Path, run_dir: Path) -> Sequence[RankHandle]:
        return handles(orders, self._launcher.make(orders, plan, run_dir))

    def helper(self, module: str, arguments: Mapping[str, Any], run_dir: Path) -> AbstractContextManager[int]:
        return self._launcher.helper(module, arguments, run_dir)

    def close(self) -> None:
        self._launcher.close()
