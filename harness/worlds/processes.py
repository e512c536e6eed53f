"""A world of plain processes on one host, cloned from a zygote that has imported torch once."""

from __future__ import annotations

import os
import select
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness import clock
from harness.machine.children import Children
from harness.machine.zygote_client import Ready, Zygote, spawn_fresh
from harness.words.attribute import Declaration
from harness.words.errors import HarnessError, Unsupported
from harness.worlds.base import WORLDS, Host, Isolation, LaunchOrder, RankHandle, World

HELPER_LIMIT_NS = 20_000_000_000
"""A helper is a clone that opens one store: milliseconds, seconds on a machine that swaps."""

CLONES = "clones of a zygote"


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
        self._interpreter = interpreter
        self._isolation = isolation
        self._doorbell_fd = doorbell_fd
        self._log_dir = log_dir
        self._needs_torch = needs_torch
        self._zygote: Zygote | None = None
        self._start_mode = CLONES
        self._ready: Ready | None = None

    def describe(self) -> Mapping[str, Any]:
        private = self._isolation.kind == "private"
        return {
            "kind": "processes",
            "isolation": str(self._isolation),
            "private_network": private,
            "lookups": "answered at once (private network)" if private else "RES_OPTIONS=timeout:1 attempts:1",
            "start_mode": self._start_mode,
        }

    def versions(self) -> Mapping[str, Any]:
        self._warm()
        assert self._ready is not None
        facts = {"python": self._ready.python, "torch": self._ready.torch, "torch_file": self._ready.torch_file}
        return {name: fact for name, fact in facts.items() if fact is not None}

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
        zygote = self._warm()
        handles: list[RankHandle] = []
        cloned: list[tuple[dict[str, Any], int]] = []
        for order in orders:
            request, ops_path = _request(order, plan, run_dir)
            read_fd, write_fd = os.pipe2(os.O_CLOEXEC)
            os.set_blocking(write_fd, False)
            handles.append(RankHandle(order.rank, order.life, 0, write_fd, ops_path))
            if order.fresh or zygote is None:
                handles[-1].pid = spawn_fresh(self.children, self._interpreter, request, read_fd, self._doorbell_fd)
                os.close(read_fd)
            else:
                cloned.append((request, read_fd))
        if zygote is not None and cloned:
            pids = iter(zygote.spawn_all(cloned))
            for order, handle in zip(orders, handles, strict=True):
                if not order.fresh:
                    handle.pid = next(pids)
        for _, read_fd in cloned:
            os.close(read_fd)
        return handles

    @contextmanager
    def helper(self, module: str, arguments: Mapping[str, Any], run_dir: Path) -> Iterator[int]:
        zygote = self._warm()
        if zygote is None or not self._needs_torch:
            raise Unsupported(module, "needs a zygote with torch; this subject or machine has none")
        read_fd, write_fd = os.pipe2(os.O_CLOEXEC)
        log = run_dir / "logs" / f"{module}.log"
        request = {"helper": module, "arguments": dict(arguments), "log": str(log)}
        try:
            pid = zygote.spawn(request, write_fd)
        finally:
            os.close(write_fd)
        try:
            _await_line(read_fd, module, log)
            yield pid
        finally:
            os.close(read_fd)
            self.children.end(pid, 0)

    def close(self) -> None:
        """End the zygote; a later launch makes a new one."""
        if self._zygote is not None:
            self._zygote.close()
            self._zygote = None

    def _warm(self) -> Zygote | None:
        """The zygote, made if there is none; None where ranks must be fresh because it had threads."""
        if self._zygote is not None and not self.children.is_running(self._zygote.pid):
            self.close()
        if self._zygote is None and self._start_mode == CLONES:
            zygote = Zygote.start(
                self.children,
                self._interpreter,
                {},
                self._doorbell_fd,
                self._log_dir / "zygote.log",
                needs_torch=self._needs_torch,
            )
            self._ready = zygote.ready
            if zygote.ready.threads:
                self._start_mode = f"fresh interpreters (the zygote had threads: {', '.join(zygote.ready.threads)})"
                zygote.close()
            else:
                self._zygote = zygote
        return self._zygote


def _request(order: LaunchOrder, plan: Path, run_dir: Path) -> tuple[dict[str, Any], Path]:
    name = f"rank-{order.rank}.life-{order.life}"
    ops_path = run_dir / "ops" / f"{name}.jsonl"
    request = {
        "plan": str(plan),
        "rank": order.rank,
        "life": order.life,
        "ops": str(ops_path),
        "log": str(run_dir / "logs" / f"{name}.log"),
        "env": dict(order.env),
    }
    return request, ops_path


def _await_line(fd: int, module: str, log: Path) -> None:
    deadline_ns = clock.now_ns() + HELPER_LIMIT_NS
    poll = select.poll()
    poll.register(fd, select.POLLIN)
    if not poll.poll(max(0, deadline_ns - clock.now_ns()) / 1e6) or not os.read(fd, 4096):
        raise HarnessError(f"the helper {module} was not ready; see {log}")
