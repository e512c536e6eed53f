"""Watches the ends of processes that are not children of this one, together with other descriptors, through one."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from harness.values.errors import HarnessError

_LOWEST_BY_SIGNAL, _SIGNALS = 128, 64


@dataclass
class _Watched:
    pidfd: int
    status: Callable[[], int]


class Exits:
    """Processes that have ended, and their exit codes, which another party (Docker) reports a moment later.

    `fileno()` is readable when there is something to collect, or when a descriptor given to `also` is readable.
    """

    def __init__(self) -> None:
        self._epoll = select.epoll()
        self._answered = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._epoll.register(self._answered, select.EPOLLIN)
        self._watched: dict[int, _Watched] = {}
        self._asking: dict[int, threading.Thread] = {}
        self._ended: deque[tuple[int, int | HarnessError]] = deque()

    def fileno(self) -> int:
        return self._epoll.fileno()

    def also(self, descriptor: int) -> None:
        """Be readable when this descriptor is; closing it removes it."""
        self._epoll.register(descriptor, select.EPOLLIN)

    def watch(self, pid: int, status: Callable[[], int]) -> None:
        """Watch a process for its end; raises ProcessLookupError if it has ended already.

        Args:
            status: returns its exit code as a shell shows it; called in a thread of its own once it has ended.
        """
        pidfd = os.pidfd_open(pid)
        self._watched[pid] = _Watched(pidfd, status)
        self._epoll.register(pidfd, select.EPOLLIN)

    def kill(self, pid: int) -> bool:
        """Send SIGKILL to a watched process; False if it is not watched or has ended. Raises PermissionError."""
        if pid not in self._watched:
            return False
        try:
            signal.pidfd_send_signal(self._watched[pid].pidfd, signal.SIGKILL)
        except ProcessLookupError:
            return False
        return True

    def collect(self) -> list[tuple[int, int]]:
        """Pid and wait status of each process that ended since the last call and whose status is known; never blocks.

        Raises HarnessError if a status could not be read.
        """
        for descriptor, _ in self._epoll.poll(0):
            for pid, watched in list(self._watched.items()):
                if watched.pidfd == descriptor:
                    self._ask(pid, watched)
        # A thread that has just appended its answer may write to the eventfd only later; that wake-up finds nothing.
        with contextlib.suppress(BlockingIOError):
            os.eventfd_read(self._answered)
        found = []
        while self._ended:
            pid, status = self._ended.popleft()
            self._asking.pop(pid).join()
            if isinstance(status, HarnessError):
                raise status
            found.append((pid, _wait_status(status)))
        return found

    def forget(self) -> None:
        """Stop watching every process, and wait for the threads that are asking for a status."""
        for pid in list(self._watched):
            self._unwatch(pid)
        for thread in list(self._asking.values()):
            thread.join()
        self._asking.clear()
        self._ended.clear()

    def _ask(self, pid: int, watched: _Watched) -> None:
        self._unwatch(pid)
        self._asking[pid] = threading.Thread(target=self._read, args=(pid, watched.status), name="exits", daemon=True)
        self._asking[pid].start()

    def _read(self, pid: int, status: Callable[[], int]) -> None:
        try:
            self._ended.append((pid, status()))
        except HarnessError as error:
            self._ended.append((pid, error))
        os.eventfd_write(self._answered, 1)

    def _unwatch(self, pid: int) -> None:
        watched = self._watched.pop(pid)
        self._epoll.unregister(watched.pidfd)
        os.close(watched.pidfd)


def _wait_status(code: int) -> int:
    """A shell's exit code as a wait status: a code above 128 stands for a signal."""
    number = code - _LOWEST_BY_SIGNAL
    return number if 0 < number <= _SIGNALS else code << 8
