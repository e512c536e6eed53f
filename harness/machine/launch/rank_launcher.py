"""Launches rank processes: clones of a zygote that stays warm over many plays, or new interpreters on request."""

from __future__ import annotations

import os
import select
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TypeAlias

from harness.machine.launch.zygote import ANY_BACKEND
from harness.machine.launch.zygote_client import ENDED_WITHIN_NS, Ready, Zygote, spawn_fresh
from harness.machine.process import stalls
from harness.machine.process.children import Children
from harness.values.errors import HarnessError, HelperLost, Unsupported

HELPER_LIMIT_NS = 20_000_000_000
"""A helper is a clone that opens one store: milliseconds, seconds on a machine that swaps."""

CLONES = "clones of a zygote"

HostEntry: TypeAlias = Mapping[str, Any]
"""The host that a rank's process enters before it works: the argument of `harness.rank.enter_host.enter`."""

HostEntryOf: TypeAlias = "Callable[[int], HostEntry | None]"
"""Maps a rank to the host that its process enters; None for the host that all processes share."""


class LaunchRequest(Protocol):
    """A rank process to launch; `harness.worlds.base.LaunchOrder` is one."""

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
    """A rank process that was launched.

    Attributes:
        control_fd: the non-blocking write end of its control pipe; the caller closes it.
    """

    pid: int
    control_fd: int
    ops_path: Path


def no_host_entry(rank: int) -> HostEntry | None:
    """The `HostEntryOf` of ranks that all run on this host."""
    return None


class RankLauncher:
    """Launches rank processes, all as children of this process.

    Args:
        interpreter: the ranks' Python.
        doorbell_fd: the write end of the pipe by which ranks announce operations.
        needs_torch: False for subjects without torch.
        subject: what is tested; the zygote imports its modules, so that their import is no join time.

    Attributes:
        start_mode: how ranks are launched, for reports.
    """

    def __init__(
        self,
        children: Children,
        interpreter: Path,
        doorbell_fd: int,
        log_path: Path,
        needs_torch: bool,
        subject: str = ANY_BACKEND,
    ) -> None:
        self._children = children
        self._interpreter = interpreter
        self._doorbell_fd = doorbell_fd
        self._log_path = log_path
        self._needs_torch = needs_torch
        self._subject = subject
        self._zygote: Zygote | None = None
        self._ready: Ready | None = None
        self.start_mode = CLONES

    def versions(self) -> Mapping[str, Any]:
        """The interpreter's python, torch and torch_file; raises HarnessError if ranks cannot use it."""
        self._warm()
        assert self._ready is not None
        facts = {"python": self._ready.python, "torch": self._ready.torch, "torch_file": self._ready.torch_file}
        return {name: fact for name, fact in facts.items() if fact is not None}

    def make(
        self, requests: Sequence[LaunchRequest], plan: Path, run_dir: Path, host_entry: HostEntryOf = no_host_entry
    ) -> Sequence[LaunchedRank]:
        """A process for each request, in their order; raises HarnessError."""
        zygote = self._warm()
        messages = [rank_message(request, plan, run_dir, host_entry(request.rank)) for request in requests]
        is_fresh = [request.fresh or zygote is None for request in requests]
        with ExitStack() as given, ExitStack() as kept:
            reads, writes = [], []
            for _ in requests:
                read_fd, write_fd = os.pipe2(os.O_CLOEXEC)
                os.set_blocking(write_fd, False)
                given.callback(os.close, read_fd)
                kept.callback(os.close, write_fd)
                reads.append(read_fd)
                writes.append(write_fd)
            all_three = list(zip(messages, reads, is_fresh, strict=True))
            fresh = iter([self._fresh(message, read_fd) for message, read_fd, alone in all_three if alone])
            cloned = iter(self._cloned([(message, read_fd) for message, read_fd, alone in all_three if not alone]))
            pids = [next(fresh if alone else cloned) for alone in is_fresh]
            kept.pop_all()
        return [
            LaunchedRank(pid, write_fd, Path(message["ops"]))
            for pid, write_fd, message in zip(pids, writes, messages, strict=True)
        ]

    @contextmanager
    def helper(
        self, module: str, arguments: Mapping[str, Any], run_dir: Path, host: HostEntry | None = None
    ) -> Iterator[int]:
        """A clone that runs `harness.rank.<module>` on a host: yields its pid once it is ready, and ends it afterwards.

        Raises Unsupported where no zygote with torch can run it, HarnessError if it does not get ready, HelperLost if
        it was killed meanwhile.
        """
        zygote = self._warm()
        if zygote is None or not self._needs_torch:
            raise Unsupported(module, "needs a zygote with torch; this subject or machine has none")
        log = run_dir / "logs" / f"{module}.log"
        message = _with_host({"helper": module, "arguments": dict(arguments), "log": str(log)}, host)
        read_fd, write_fd = os.pipe2(os.O_CLOEXEC)
        try:
            pid = zygote.spawn(message, write_fd)
        finally:
            os.close(write_fd)
        stalls.watch(pid, f"the helper {module}")
        try:
            self._await_line(pid, read_fd, module, log)
            yield pid
            self._require_running(pid, module)
        finally:
            os.close(read_fd)
            self._children.end(pid, 0)
            stalls.forget(pid)

    def close(self) -> None:
        """End the zygote; a later launch starts a new one."""
        if self._zygote is not None:
            self._zygote.close()
            self._zygote = None

    def _fresh(self, message: Mapping[str, Any], control_fd: int) -> int:
        return spawn_fresh(self._children, self._interpreter, message, control_fd, self._doorbell_fd)

    def _cloned(self, messages: Sequence[tuple[Mapping[str, Any], int]]) -> Sequence[int]:
        return self._zygote.spawn_all(messages) if self._zygote is not None else []

    def _await_line(self, pid: int, fd: int, module: str, log: Path) -> None:
        poll = select.poll()
        poll.register(fd, select.POLLIN)
        if not poll.poll(HELPER_LIMIT_NS / 1e6) or not os.read(fd, 4096):
            self._require_running(pid, module, ENDED_WITHIN_NS)
            raise HarnessError(f"the helper {module} was not ready; see {log}")

    def _require_running(self, pid: int, module: str, within_ns: int = 0) -> None:
        status = self._children.wait(pid, within_ns)
        if status is not None and os.WIFSIGNALED(status):
            raise HelperLost(f"the helper {module} was killed by signal {os.WTERMSIG(status)}; run it again")

    def _warm(self) -> Zygote | None:
        """The zygote, started if none runs; None where ranks must be fresh because the zygote had threads."""
        if self._zygote is not None and not self._children.is_running(self._zygote.pid):
            self.close()
        if self._zygote is None and self.start_mode == CLONES:
            try:
                zygote = self._start_zygote()
            except HelperLost:  # killed from outside while it started; the next one hardly will be
                zygote = self._start_zygote()
            self._ready = zygote.ready
            if zygote.ready.threads:
                self.start_mode = f"fresh interpreters (the zygote had threads: {', '.join(zygote.ready.threads)})"
                zygote.close()
            else:
                self._zygote = zygote
        return self._zygote

    def _start_zygote(self) -> Zygote:
        return Zygote.start(
            self._children,
            self._interpreter,
            {},
            self._doorbell_fd,
            self._log_path,
            needs_torch=self._needs_torch,
            subject=self._subject,
        )


def rank_message(request: LaunchRequest, plan: Path, run_dir: Path, host: HostEntry | None = None) -> dict[str, Any]:
    """The message that makes a process this rank; its operations and its log go to the run directory."""
    name = f"rank-{request.rank}.life-{request.life}"
    message = {
        "plan": str(plan),
        "rank": request.rank,
        "life": request.life,
        "ops": str(run_dir / "ops" / f"{name}.jsonl"),
        "log": str(run_dir / "logs" / f"{name}.log"),
        "env": dict(request.env),
    }
    return _with_host(message, host)


def _with_host(message: dict[str, Any], host: HostEntry | None) -> dict[str, Any]:
    return message if host is None else {**message, "host": dict(host)}
