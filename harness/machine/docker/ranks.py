"""Launches ranks and helpers, each in a container of its own that joins a host."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import shutil
import stat
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.machine.docker.client import FULL_PERIOD_US, Client, Recipe
from harness.machine.docker.hosts import ContainerHost
from harness.machine.docker.leases import Lease
from harness.machine.docker.mounts import Bind, ContainerPython
from harness.machine.docker.oom import KillCount
from harness.machine.process import pidfd
from harness.values.errors import HarnessError

RUN = "/rdzv/run"
"""The path of the run directory in a container."""

MEMORY_BYTES, PIDS, PROCESSORS = 1 << 30, 256, 2.0
"""The limits of a rank; torch uses a quarter of this memory and a few threads."""

ENDS_WITHIN_NS = 5_000_000_000
"""Milliseconds after Docker reports an end, /proc shows it; only a machine that stands still takes longer."""

_NAME_FILES = ("hosts", "resolv.conf", "nsswitch.conf")
_PIPES = "pipes"
_WORKER = "harness.rank.start"

_QUESTION = r"""
import importlib.util, json, os, platform, re
versions = {"python": platform.python_version()}
spec = importlib.util.find_spec("torch")
if spec is not None and spec.origin:
    with open(os.path.join(os.path.dirname(spec.origin), "version.py")) as stream:
        versions.update(torch=re.search(r"__version__ = '([^']+)'", stream.read()).group(1), torch_file=spec.origin)
print(json.dumps(versions))
"""


# A user may make a process of its own the OOM killer's first choice; only root may make it the last.
_FILL_MEMORY = """
import sys
with open(f"/proc/{sys.argv[1]}/oom_score_adj", "w") as stream:
    stream.write("1000")
blocks = []
while True:
    blocks.append(b"x" * (1 << 20))
"""


class SharedRunDir:
    """A run directory that containers share: its named pipes, and the permissions of their user.

    Args:
        user: `uid:gid` of the containers' processes.
        writable: they may make files in it, and take away none of others.
    """

    def __init__(self, run_dir: Path, user: str, writable: bool = False) -> None:
        self.path = run_dir
        self._user, self._group = (int(number) for number in user.split(":"))
        pipes = run_dir / _PIPES
        shutil.rmtree(pipes, ignore_errors=True)
        for folder in (pipes, run_dir / "ops", run_dir / "logs"):
            folder.mkdir(exist_ok=True)
            self._give(folder)
        run_dir.chmod(run_dir.stat().st_mode | stat.S_IXGRP | stat.S_IXOTH)
        if writable and os.geteuid() == 0:
            os.chown(run_dir, -1, self._group)
            run_dir.chmod(run_dir.stat().st_mode | stat.S_IRWXG | stat.S_ISVTX)
        self.bell_fd = self.pipe("doorbell")

    def close(self) -> None:
        """Remove the pipes: a program that reads all files of the folder would block on them for ever."""
        os.close(self.bell_fd)
        shutil.rmtree(self.path / _PIPES, ignore_errors=True)

    def pipe(self, name: str) -> int:
        """Make a named pipe; returns a non-blocking descriptor that reads and writes it.

        While it is open, either end can be opened at once, and no reader sees the end of the pipe.
        """
        path = self.path / _PIPES / name
        os.mkfifo(path, 0o600)
        self._give(path)
        return os.open(path, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)

    def inside(self, path: Path) -> str:
        """The path in a container of a path of the run directory."""
        return f"{RUN}/{path.relative_to(self.path)}"

    def pipe_inside(self, name: str) -> str:
        return f"{RUN}/{_PIPES}/{name}"

    def readable(self, path: Path) -> None:
        """Let containers read a file, whatever the umask is."""
        path.chmod(path.stat().st_mode | stat.S_IRGRP | stat.S_IROTH)

    def writable(self, path: Path) -> None:
        """Make an empty file that containers may write, before its reader makes one that they may not."""
        path.touch(mode=0o644)
        self._give(path)

    def _give(self, path: Path) -> None:
        if os.geteuid() == 0:
            os.chown(path, self._user, self._group)


@dataclass
class ContainerProcess:
    """A process of the harness in a container; implements `harness.machine.docker.hosts.RankContainer`.

    Attributes:
        pid: this machine's number of the process.
        log_path: the file for its output.
        python: the path of its interpreter in the container.
    """

    client: Client
    container: str
    pid: int
    log_path: Path
    python: str
    is_throttled: bool = False
    ran_out_of_memory: bool = False

    def status(self) -> int:
        """Wait for its end; its exit code. Its output and the reason of a kill are appended to its log."""
        code = self.client.wait(self.container)
        if code:
            self._note(self.client.output(self.container))
        if code and (self.ran_out_of_memory or self.client.state(self.container).oom_killed):
            self._note(b"[its memory was full, and the kernel killed a process in its container]\n")
        return code

    def remove(self) -> None:
        """End it and remove its container."""
        self.client.remove(self.container, throttled=self.is_throttled)

    def memory_bytes(self) -> int:
        return self.client.memory_bytes(self.container)

    def limit_memory(self, limit_bytes: int) -> None:
        self.client.limit_memory(self.container, limit_bytes)

    @contextlib.contextmanager
    def memory_kills(self) -> Iterator[Callable[[], bool | None]]:
        with contextlib.closing(KillCount(self.pid)) as count:
            before = count.read()

            def killed() -> bool | None:
                # Docker learns of it by a message that a quick end may overtake; the kernel's own count is reliable as
                # long as the group exists.
                now = count.read()
                grown = before is not None and now is not None and now > before
                self.ran_out_of_memory = grown or self.client.state(self.container).oom_killed
                return self.ran_out_of_memory or (None if now is None else False)

            yield killed

    def fill_memory(self) -> None:
        inner_pid = (pidfd.namespace_pids(self.pid) or [self.pid])[-1]
        self.client.run_beside(self.container, [self.python, "-c", _FILL_MEMORY, str(inner_pid)])

    def limit_processor(self, quota_us: int, period_us: int) -> None:
        self.is_throttled = True
        with self._unless_it_ends():
            self.client.limit_processor(self.container, quota_us, period_us)

    def unlimit_processor(self) -> None:
        with self._unless_it_ends():
            self.client.limit_processor(self.container, int(PROCESSORS * FULL_PERIOD_US), FULL_PERIOD_US)
        self.is_throttled = False

    def throttled_ns(self) -> int | None:
        # For a process that has ended Docker reports zeros, and takes a second to do so.
        with self._unless_it_ends():
            throttled_ns = None if self._ends(0) else self.client.throttled_ns(self.container)
            return None if self._ends(0) else throttled_ns
        return None

    @contextlib.contextmanager
    def _unless_it_ends(self) -> Iterator[None]:
        """Let an error pass only if the process lives on: Docker refuses everything for one that is just ending."""
        try:
            yield
        except HarnessError:
            if not self._ends(ENDS_WITHIN_NS):
                raise

    def _ends(self, within_ns: int) -> bool:
        try:
            with pidfd.hold(self.pid) as held:
                return held.await_end(within_ns)
        except ProcessLookupError:
            return True

    def _note(self, data: bytes) -> None:
        if data:
            with open(self.log_path, "ab") as log:
                log.write(data)


class ContainerLauncher:
    """Launches processes in containers, all with one interpreter and one image."""

    def __init__(self, client: Client, lease: Lease, image: str, user: str, python: ContainerPython) -> None:
        self._client = client
        self._lease = lease
        self._image = image
        self._user = user
        self._python = python

    def rank(
        self, run: SharedRunDir, host: ContainerHost, rank: int, life: int, env: Mapping[str, str], plan: Path
    ) -> tuple[ContainerProcess, int]:
        """One life of a rank, and the write end of its control pipe; raises HarnessError."""
        name = f"rank-{rank}.life-{life}"
        request = {
            "plan": run.inside(plan),
            "rank": rank,
            "life": life,
            "ops": f"{RUN}/ops/{name}.jsonl",
            "log": f"{RUN}/logs/{name}.log",
            "env": dict(env),
        }
        run.writable(run.path / "ops" / f"{name}.jsonl")
        control_fd = run.pipe(name)
        try:
            return self._start(run, host, name, request, run.pipe_inside("doorbell"), env), control_fd
        except BaseException:
            os.close(control_fd)
            raise

    @contextlib.contextmanager
    def helper(
        self, run: SharedRunDir, host: ContainerHost, module: str, arguments: Mapping[str, Any]
    ) -> Iterator[tuple[ContainerProcess, int]]:
        """`harness.rank.<module>` on a host, and the pipe on which it reports that it is ready; ends it afterwards."""
        ready_fd = run.pipe(module)
        try:
            request = {"helper": module, "arguments": dict(arguments), "log": f"{RUN}/logs/{module}.log"}
            process = self._start(run, host, module, request, -1, {})
            try:
                yield process, ready_fd
            finally:
                process.remove()
        finally:
            os.close(ready_fd)
            (run.path / _PIPES / module).unlink()

    def versions(self, needs_torch: bool) -> Mapping[str, Any]:
        """The python, torch and torch_file of the interpreter in a container; torch is not imported."""
        container = self._client.start(self._recipe("versions", [self._python.executable, "-c", _QUESTION], {}, ()))
        try:
            code, output = self._client.wait(container), self._client.output(container)
        finally:
            self._client.remove(container)
        try:
            versions: dict[str, Any] = json.loads(output.splitlines()[-1])
        except (ValueError, IndexError) as error:
            raise HarnessError(
                f"the ranks' interpreter does not run in a container (exit code {code}): "
                f"{output.decode(errors='replace').strip()[-500:]}; give --python another, or use another world"
            ) from error
        return versions if needs_torch else {"python": versions["python"]}

    def _start(
        self,
        run: SharedRunDir,
        host: ContainerHost,
        name: str,
        request: Mapping[str, Any],
        doorbell: object,
        env: Mapping[str, str],
    ) -> ContainerProcess:
        settings = {
            "mode": "rank",
            "harness": self._python.harness,
            "worker": _WORKER,
            "doorbell_fd": doorbell,
            "control": run.pipe_inside(name),
            "request": request,
        }
        command = [self._python.executable, self._python.zygote, json.dumps(settings)]
        binds = [Bind(str(host.etc / file), f"/etc/{file}") for file in _NAME_FILES]
        recipe = self._recipe(f"{host.name}-{name}", command, env, binds, host.container, [Bind(str(run.path), RUN)])
        container = self._client.start(recipe)
        log_path = run.path / "logs" / f"{name}.log"
        pid = self._client.state(container).pid
        process = ContainerProcess(self._client, container, pid, log_path, self._python.executable)
        if process.pid:
            return process
        output = self._client.output(container).decode(errors="replace").strip()[-500:]
        process.remove()
        raise HarnessError(f"{name} ended at once in its container; its output: {output or 'none'}")

    def _recipe(
        self,
        name: str,
        command: Sequence[str],
        env: Mapping[str, str],
        binds: Sequence[Bind],
        joins: str = "",
        shared: Sequence[Bind] = (),
    ) -> Recipe:
        return Recipe(
            name=f"rdzv-{self._lease.world}-{name}-{secrets.token_hex(3)}",
            image=self._image,
            command=command,
            user=self._user,
            labels=self._lease.labels,
            memory_bytes=MEMORY_BYTES,
            pids=PIDS,
            processors=PROCESSORS,
            environment={**self._python.environment, **env},
            binds=[*self._python.binds, *binds],
            shared=shared,
            joins=joins,
        )
