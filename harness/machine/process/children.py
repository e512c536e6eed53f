"""All child processes of a controller, and the one reaper that collects their exit codes."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import subprocess
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from harness.clock import now_ns
from harness.machine.process import namespaces
from harness.machine.process.pidfd import namespace_pids

# A process gets this long between SIGTERM and SIGKILL: a proxy server closes its listeners in a few milliseconds.
GRACE_NS = 2_000_000_000
# SIGKILL ends a process within milliseconds; only one that hangs in the kernel outlives this.
KILLED_WITHIN_NS = 5_000_000_000
_PARENT_GONE = 98


class Children:
    """The child processes of this process; one instance per process, made in its main thread.

    It waits for every child, whatever started it (`waitpid(-1)`), so nothing else may wait: no `Popen.wait` and no
    `subprocess.run` while it is open. A pid stays reserved until its end was collected here, so a signal by pid never
    hits another process.
    """

    def __init__(self) -> None:
        self._reader, self._writer = os.pipe()
        os.set_blocking(self._reader, False)
        os.set_blocking(self._writer, False)
        self._previous_handler = signal.signal(signal.SIGCHLD, lambda number, frame: None)
        signal.set_wakeup_fd(self._writer, warn_on_full_buffer=False)
        self._running: set[int] = set()
        self._statuses: dict[int, int] = {}
        self._unreported: list[tuple[int, int]] = []

    def __enter__(self) -> Children:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End every known child, and close the wake-up pipe.

        Unknown descendants are left to `end_all`: outside a controller they may belong to other code.
        """
        self._wait_until(self._no_known_child, KILLED_WITHIN_NS, look_every_ms=5)
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, self._previous_handler)
        os.close(self._reader)
        os.close(self._writer)

    def fileno(self) -> int:
        """A descriptor that is readable when a child may have ended, or a signal came; `reap` empties it."""
        return self._reader

    def become_subreaper(self) -> None:
        """Adopt orphaned descendants; needed where this process is not pid 1."""
        namespaces.become_subreaper()

    def spawn(
        self,
        argv: Sequence[str],
        *,
        env: Mapping[str, str],
        stdout_path: Path | None = None,
        pass_fds: Sequence[int] = (),
        cwd: Path | None = None,
    ) -> int:
        """Start a program that the kernel kills when this process ends; returns its pid.

        Args:
            stdout_path: the file that stdout and stderr are appended to; None discards them. stdin is always empty.
            pass_fds: descriptors that it inherits under the same numbers.

        Raises OSError if the program cannot be started.
        """
        with open(stdout_path or os.devnull, "ab") as output:
            process = subprocess.Popen(
                list(argv),
                env=dict(env),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                pass_fds=tuple(pass_fds),
                cwd=cwd,
                preexec_fn=_end_with(os.getpid()),
            )
        # With a return code set, Popen never waits: otherwise its destructor could collect the status.
        process.returncode = 0
        self._statuses.pop(process.pid, None)
        self._running.add(process.pid)
        return process.pid

    def adopt(self, pid: int) -> None:
        """Count a process as a known child that other code started; it may have been reaped already."""
        if pid not in self._statuses:
            self._running.add(pid)

    def reap(self) -> list[tuple[int, int]]:
        """Pid and wait status of every child that ended since the last call, adopted or not; never blocks."""
        self._collect()
        ended, self._unreported = self._unreported, []
        return ended

    def status_of(self, pid: int) -> int | None:
        """The wait status of a child that was reaped; else None."""
        return self._statuses.get(pid)

    def is_running(self, pid: int) -> bool:
        """Whether a known child runs, as of the last `reap` or wait."""
        return pid in self._running

    def forget(self) -> None:
        """Drop the stored statuses, before the kernel reuses pids: between two scenarios."""
        self._statuses.clear()

    def send(self, pid: int, number: int) -> bool:
        """Send a signal to a running child; False if no running child has that pid."""
        self._collect()
        self._stay_readable()
        if pid not in self._running:
            return False
        os.kill(pid, number)
        return True

    def kill(self, pid: int) -> bool:
        """Send SIGKILL; False if no running child has that pid. Ends a stopped process too."""
        return self.send(pid, signal.SIGKILL)

    def wait(self, pid: int, within_ns: int) -> int | None:
        """Wait at most `within_ns` nanoseconds for a child's end; its status, None if it still runs."""
        self._wait_until(lambda: pid not in self._running, within_ns)
        return self._statuses.get(pid)

    def end(self, pid: int, grace_ns: int = GRACE_NS) -> int | None:
        """Send SIGTERM, then SIGKILL after `grace_ns` nanoseconds; the status, None if it is not a known child."""
        if self.send(pid, signal.SIGTERM) and self.wait(pid, grace_ns) is None:
            self.kill(pid)
            self.wait(pid, KILLED_WITHIN_NS)
        return self._statuses.get(pid)

    def end_all(self) -> list[int]:
        """SIGKILL every child and every descendant, and reap them; the pids of those that still live."""
        self._wait_until(self._nothing_left, KILLED_WITHIN_NS, look_every_ms=5)
        return sorted(self._running.union(self.others()))

    def others(self) -> list[int]:
        """Pids of all living descendants in this process tree's numbers: children, their children, orphans."""
        return [pid for pid, _ in _descendants()]

    def _no_known_child(self) -> bool:
        for pid in self._running:
            _kill_quietly(pid)
        return not self._running

    def _nothing_left(self) -> bool:
        left = self._running.union(self.others())
        for pid in left:
            _kill_quietly(pid)
        return not left

    def _collect(self) -> None:
        try:
            while os.read(self._reader, 4096):
                pass
        except BlockingIOError:
            pass
        try:
            while True:
                pid, status = os.waitpid(-1, os.WNOHANG)
                if pid == 0:
                    return
                self._running.discard(pid)
                self._statuses[pid] = status
                self._unreported.append((pid, status))
        except ChildProcessError:
            # No child is left, not even one from a zygote that died before it could report the pid.
            self._running.clear()

    def _stay_readable(self) -> None:
        """Ends that were seen meanwhile are still to be reported: a poll for `reap` must wake."""
        if self._unreported:
            with contextlib.suppress(BlockingIOError):
                os.write(self._writer, b"\0")

    def _wait_until(self, is_so: Callable[[], bool], within_ns: int, look_every_ms: int = 1000) -> None:
        deadline_ns = now_ns() + within_ns
        poll = select.poll()
        poll.register(self._reader, select.POLLIN)
        while True:
            self._collect()
            left_ms = (deadline_ns - now_ns()) // 1_000_000
            if is_so() or left_ms < 0:
                self._stay_readable()
                return
            poll.poll(min(left_ms + 1, look_every_ms))


def describe_status(status: int) -> dict[str, int]:
    """A wait status as `{"status": exit code}` or `{"signal": number}`."""
    return {"signal": os.WTERMSIG(status)} if os.WIFSIGNALED(status) else {"status": os.WEXITSTATUS(status)}


def command_of(pid: int) -> str:
    """The command line of a descendant, for a report; empty if it is gone."""
    return _read(f"/proc/{outer_pid(pid)}/cmdline").replace("\0", " ").strip()


def outer_pid(pid: int) -> int:
    """The number of a descendant in /proc: a different one where /proc still shows the outer process tree."""
    return dict(_descendants()).get(pid, pid)


def _end_with(parent: int) -> Callable[[], None]:
    """The function that a forked child runs before exec.

    Python code between fork and exec is safe here: a controller has one thread, so no other thread can hold a lock.
    """

    def before_exec() -> None:
        namespaces.end_with_parent()
        if os.getppid() != parent:
            os._exit(_PARENT_GONE)

    return before_exec


def _kill_quietly(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


def _descendants() -> list[tuple[int, int]]:
    """(own pid, pid in /proc) of every living descendant.

    They differ where /proc could not be mounted anew and still shows the outer process tree.
    """
    rows = [row for name in os.listdir("/proc") if name.isdigit() if (row := _stat(name)) is not None]
    family = {int(os.readlink("/proc/self"))}
    own_depth = len(namespace_pids(next(iter(family))))
    found: list[tuple[int, int]] = []
    grown = True
    while grown:
        grown = False
        for pid, parent, state in rows:
            if parent in family and pid not in family:
                family.add(pid)
                grown = True
                inner = namespace_pids(pid)
                if state not in "ZX" and len(inner) >= own_depth:
                    found.append((inner[own_depth - 1], pid))
    return found


def _stat(pid: str) -> tuple[int, int, str] | None:
    head, _, tail = _read(f"/proc/{pid}/stat").rpartition(")")
    fields: list[Any] = tail.split()
    return (int(pid), int(fields[1]), fields[0]) if head else None


def _read(path: str) -> str:
    try:
        with open(path, "rb") as stream:
            return stream.read().decode(errors="replace")
    except OSError:
        return ""
