"""Where rank processes come from: a zygote kept warm over many plays, and new interpreters where one is asked for."""

from __future__ import annotations

import os
import select
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from harness import clock
from harness.machine.launch.zygote_client import Ready, Zygote, spawn_fresh
from harness.machine.process.children import Children
from harness.values.errors import HarnessError, Unsupported

HELPER_LIMIT_NS = 20_000_000_000
"""A helper is a clone that opens one store: milliseconds, seconds on a machine that swaps."""

CLONES = "clones of a zygote"

Residence = Callable[[int], "Mapping[str, Any] | None"]
"""By rank, the host that its process enters, as `harness.rank.enter_host.enter` wants it; None for this one."""


class LaunchRequest(Protocol):
    """A rank process to make; `harness.worlds.base.LaunchOrder` is one."""

    @property
    def rank(self) -> int: ...
    @property
    def life(self) -> int: ...
    @property
    def fresh(self) -> bool: ...
    @property
    def env(self) -> Mapping[str, str]: ...


@dataclass(frozen=True)
class LaunchedRank:
    """A rank process that was made.

    Attributes:
        control_fd: the write end of its control pipe, never blocking; the caller's.
    """

    pid: int
    control_fd: int
    ops_path: Path


def anywhere(rank: int) -> Mapping[str, Any] | None:
    """The residence of ranks that all live on this host."""
    return None


class RankLauncher:
    """Makes rank processes, all children of this process.

    Args:
        interpreter: the ranks' Python.
        doorbell_fd: write end of the pipe that ranks ring.
        needs_torch: False for subjects that do without.

    Attributes:
        start_mode: how ranks are made, for a report.
    """

    def __init__(
        self, children: Children, interpreter: Path, doorbell_fd: int, log_path: Path, needs_torch: bool
    ) -> None:
        self._children = children
        self._interpreter = interpreter
        self._doorbell_fd = doorbell_fd
        self._log_path = log_path
        self._needs_torch = needs_torch
        self._zygote: Zygote | None = None
        self._ready: Ready | None = None
        self.start_mode = CLONES

    def versions(self) -> Mapping[str, Any]:
        """Of the interpreter: python, torch, torch_file; raises HarnessError if ranks cannot use it."""
        self._warm()
        assert self._ready is not None
        facts = {"python": self._ready.python, "torch": self._ready.torch, "torch_file": self._ready.torch_file}
        return {name: fact for name, fact in facts.items() if fact is not None}

    def make(
        self, orders: Sequence[LaunchRequest], plan: Path, run_dir: Path, residence: Residence = anywhere
    ) -> Sequence[LaunchedRank]:
        """A process for each order, in order; raises HarnessError."""
        zygote = self._warm()
        requests = [rank_request(order, plan, run_dir, residence(order.rank)) for order in orders]
        is_fresh = [order.fresh or zygote is None for order in orders]
        with ExitStack() as given, ExitStack() as kept:
            reads, writes = [], []
            for _ in orders:
                read_fd, write_fd = os.pipe2(os.O_CLOEXEC)
                os.set_blocking(write_fd, False)
                given.callback(os.close, read_fd)
                kept.callback(os.close, write_fd)
                reads.append(read_fd)
                writes.append(write_fd)
            all_three = list(zip(requests, reads, is_fresh, strict=True))
            fresh = iter([self._fresh(request, read_fd) for request, read_fd, alone in all_three if alone])
            cloned = iter(self._cloned([(request, read_fd) for request, read_fd, alone in all_three if not alone]))
            pids = [next(fresh if alone else cloned) for alone in is_fresh]
            kept.pop_all()
        return [
            LaunchedRank(pid, write_fd, Path(request["ops"]))
            for pid, write_fd, request in zip(pids, writes, requests, strict=True)
        ]

    @contextmanager
    def helper(
        self, module: str, arguments: Mapping[str, Any], run_dir: Path, host: Mapping[str, Any] | None = None
    ) -> Iterator[int]:
        """A clone that runs `harness.rank.<module>` on a host; yields its pid once it is ready, and ends it.

        Raises Unsupported where there is no torch to run it with, HarnessError if it does not get ready.
        """
        zygote = self._warm()
        if zygote is None or not self._needs_torch:
            raise Unsupported(module, "needs a zygote with torch; this subject or machine has none")
        log = run_dir / "logs" / f"{module}.log"
        request = _placed({"helper": module, "arguments": dict(arguments), "log": str(log)}, host)
        read_fd, write_fd = os.pipe2(os.O_CLOEXEC)
        try:
            pid = zygote.spawn(request, write_fd)
        finally:
            os.close(write_fd)
        try:
            _await_line(read_fd, module, log)
            yield pid
        finally:
            os.close(read_fd)
            self._children.end(pid, 0)

    def close(self) -> None:
        """End the zygote; what is made later makes a new one."""
        if self._zygote is not None:
            self._zygote.close()
            self._zygote = None

    def _fresh(self, request: Mapping[str, Any], control_fd: int) -> int:
        return spawn_fresh(self._children, self._interpreter, request, control_fd, self._doorbell_fd)

    def _cloned(self, requests: Sequence[tuple[Mapping[str, Any], int]]) -> Sequence[int]:
        return self._zygote.spawn_all(requests) if self._zygote is not None else []

    def _warm(self) -> Zygote | None:
        """The zygote, made if there is none; None where ranks must be fresh because it had threads."""
        if self._zygote is not None and not self._children.is_running(self._zygote.pid):
            self.close()
        if self._zygote is None and self.start_mode == CLONES:
            zygote = Zygote.start(
                self._children,
                self._interpreter,
                {},
                self._doorbell_fd,
                self._log_path,
                needs_torch=self._needs_torch,
            )
            self._ready = zygote.ready
            if zygote.ready.threads:
                self.start_mode = f"fresh interpreters (the zygote had threads: {', '.join(zygote.ready.threads)})"
                zygote.close()
            else:
                self._zygote = zygote
        return self._zygote


def rank_request(
    order: LaunchRequest, plan: Path, run_dir: Path, host: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """What the process of a rank is asked to be; its operations and its log lie in the run directory."""
    name = f"rank-{order.rank}.life-{order.life}"
    request = {
        "plan": str(plan),
        "rank": order.rank,
        "life": order.life,
        "ops": str(run_dir / "ops" / f"{name}.jsonl"),
        "log": str(run_dir / "logs" / f"{name}.log"),
        "env": dict(order.env),
    }
    return _placed(request, host)


def _placed(request: dict[str, Any], host: Mapping[str, Any] | None) -> dict[str, Any]:
    return request if host is None else {**request, "host": dict(host)}


def _await_line(fd: int, module: str, log: Path) -> None:
    deadline_ns = clock.now_ns() + HELPER_LIMIT_NS
    poll = select.poll()
    poll.register(fd, select.POLLIN)
    if not poll.poll(max(0, deadline_ns - clock.now_ns()) / 1e6) or not os.read(fd, 4096):
        raise HarnessError(f"the helper {module} was not ready; see {log}")
