"""Timers of this process, all in one thread, which ends when none is left: a thread for each call would cost more."""

from __future__ import annotations

import _thread
import os
import time
from typing import Callable, Dict, Optional, Tuple

Action = Callable[[], Optional[float]]
# How long the thread waits for new timers before it ends. A new timer is also looked at first when this has passed: by
# then most calls are over, and have cancelled theirs.
_IDLE_S = 0.25


class Timers:
    """Actions at times (`time.monotonic`)."""

    # Made of plain locks: Condition and Thread are Python code, which each process that joins would run for the first
    # time.
    def __init__(self) -> None:
        self._lock = _thread.allocate_lock()
        self._bell = _thread.allocate_lock()
        self._bell.acquire()
        self._due: Dict[int, Tuple[float, Action]] = {}
        self._number = 0
        self._next = 0.0
        self._runs = False
        self._pid = os.getpid()

    def add(self, when: float, action: Action) -> int:
        """Run the action at that time, unless `cancel` is called before with the number that this returns.

        An action must be short and must not raise. It returns None, or the time at which it must run again.
        """
        with self._lock:
            self._number += 1
            self._due[self._number] = (when, action)
            if not self._runs:
                self._runs = True
                self._next = min(when, time.monotonic() + _IDLE_S)
                _thread.start_new_thread(self._run, ())
            elif when < self._next:
                self._ring()
            return self._number

    def cancel(self, number: int) -> None:
        """When this returns, the action is not running either."""
        with self._lock:
            self._due.pop(number, None)
            if not self._due and self._next > time.monotonic() + _IDLE_S:
                self._ring()

    def _ring(self) -> None:
        if self._bell.locked():
            self._bell.release()

    def _run(self) -> None:
        while self._runs:
            self._bell.acquire(True, max(0.0, self._next - time.monotonic()))
            with self._lock:
                self._run_due(time.monotonic())

    def _run_due(self, now: float) -> None:
        was_idle = not self._due
        for number, (when, action) in list(self._due.items()):
            if when <= now:
                again = action()
                if again is None:
                    self._due.pop(number, None)
                else:
                    self._due[number] = (again, action)
        self._next = min((when for when, _ in self._due.values()), default=now + _IDLE_S)
        self._runs = not was_idle


_timers = Timers()


def timers() -> Timers:
    """This process's timers; a forked child gets new ones, because threads do not survive a fork."""
    global _timers
    if _timers._pid != os.getpid():
        _timers = Timers()
    return _timers
