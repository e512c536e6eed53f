"""Processes that this one did not start: signalled, watched and inspected by pidfd, without waiting for them."""

from __future__ import annotations

import contextlib
import os
import resource
import select
import signal
from collections.abc import Iterator
from pathlib import Path

from harness import clock

STOPPED_STATES = "Tt"
ENDED_STATES = "ZX"
_EXIT_CODE_FIELD = 49  # the 52nd field of /proc/PID/stat, counted after the name
_LOOK_AGAIN_SECONDS = 0.0005  # a signal is delivered in microseconds; a longer sleep would lengthen every fault


class PidfdProcess:
    """A process referred to by a pidfd, so that a signal never hits another process with the same pid.

    Raises ProcessLookupError if there is no such process.
    """

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self._pidfd = os.pidfd_open(pid)

    def fileno(self) -> int:
        """A descriptor that is readable once the process has ended."""
        return self._pidfd

    def signal(self, number: int) -> bool:
        """Send a signal; False if the process has ended."""
        if self.ended():
            return False
        try:
            signal.pidfd_send_signal(self._pidfd, number)
        except ProcessLookupError:
            return False
        return True

    def ended(self) -> bool:
        """Whether it has ended; its parent may not have collected it yet."""
        return self.await_end(0)

    def await_end(self, limit_ns: int) -> bool:
        """Whether it ends within `limit_ns` nanoseconds."""
        poll = select.poll()
        poll.register(self._pidfd, select.POLLIN)
        return bool(poll.poll(limit_ns // 1_000_000))

    def await_stop(self, stopped: bool, limit_ns: int) -> bool:
        """Whether the process is stopped (or not stopped, as given) within `limit_ns`; True if it has ended."""
        deadline_ns = clock.now_ns() + limit_ns
        while not self.ended():
            if self.stopped() == stopped:
                return True
            if clock.now_ns() > deadline_ns:
                return False
            select.select([], [], [], _LOOK_AGAIN_SECONDS)  # the kernel reports a stop to the parent only
        return True

    def stopped(self) -> bool:
        """Whether every living thread is stopped."""
        living = [state for state in self.states() if state not in ENDED_STATES]
        return bool(living) and all(state in STOPPED_STATES for state in living)

    def states(self) -> str:
        """The state of each thread as /proc shows it (`R`, `S`, `T`, ...); empty if the process is gone."""
        return "" if self._gone() else "".join(_thread_states(self.pid))

    def descriptors(self) -> frozenset[int] | None:
        """The numbers of its open descriptors; None if it has ended or they cannot be read."""
        if self.ended():
            return None
        try:
            return frozenset(int(name) for name in os.listdir(f"/proc/{self.pid}/fd"))
        except OSError:
            return None

    def file_limit(self, soft: int | None = None) -> int | None:
        """Its soft limit of open files before this call, which sets `soft` if given; None if it has ended.

        Raises PermissionError if the system does not allow it.
        """
        if self.ended():
            return None
        try:
            now, hard = resource.prlimit(self.pid, resource.RLIMIT_NOFILE)
            if soft is not None:
                resource.prlimit(self.pid, resource.RLIMIT_NOFILE, (soft, hard))
        except ProcessLookupError:
            return None
        return now

    def close(self) -> None:
        """Close the pidfd; the process goes on."""
        os.close(self._pidfd)

    def _gone(self) -> bool:
        try:
            signal.pidfd_send_signal(self._pidfd, 0)
        except ProcessLookupError:
            return True
        return False


def children_of(pid: int) -> list[int]:
    """The pids of its children, including zombies; empty if the process is gone."""
    found: list[int] = []
    for listing in Path(f"/proc/{pid}/task").glob("*/children"):
        with contextlib.suppress(OSError):
            found += map(int, listing.read_text().split())
    return found


def child_called(parent: int, inner: int) -> int | None:
    """The pid of the child of `parent` whose own pid namespace numbers it `inner`; None if there is none.

    A process in a pid namespace of its own has two numbers, and only the outer one is valid here.
    """
    return next((pid for pid in children_of(parent) if inner in namespace_pids(pid)), None)


def unreaped_status(pid: int) -> int | None:
    """The wait status of a zombie; None if the process runs or was collected by its parent."""
    with contextlib.suppress(OSError, ValueError, IndexError):
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return int(fields[_EXIT_CODE_FIELD]) if fields[0] in ENDED_STATES else None
    return None


@contextlib.contextmanager
def hold(pid: int) -> Iterator[PidfdProcess]:
    """A process by pidfd, closed at the end; raises ProcessLookupError if there is no such process."""
    held = PidfdProcess(pid)
    try:
        yield held
    finally:
        held.close()


def namespace_pids(pid: int) -> list[int]:
    """The pids of a process in each pid namespace that it is in, outermost first; empty if it is gone."""
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{pid}/status").read_text(errors="replace").splitlines():
            if line.startswith("NSpid:"):
                return [int(field) for field in line.split()[1:]]
    return []


def waits_for_processor(pid: int) -> bool:
    """Whether a thread of the process runs or waits for a processor."""
    return "R" in _thread_states(pid)


def _thread_states(pid: int) -> Iterator[str]:
    for stat in Path(f"/proc/{pid}/task").glob("*/stat"):
        with contextlib.suppress(OSError):
            # The name before the state may hold blanks and brackets: the last bracket ends it.
            yield stat.read_text().rpartition(")")[2].split()[0]
