"""One thread that does what is due at its time, and ends when nothing is: it costs a call less than a thread each."""

from __future__ import annotations

import _thread
import os
import time
from typing import Callable, Dict, Optional, Tuple

Action = Callable[[], Optional[float]]
# How long the thread waits for more to do. It looks first when this has passed: by then most calls are over.
_IDLE_S = 0.25


class Watch:
    """Actions at times (`time.monotonic`)."""

    # Of plain locks: a Condition and a Thread are Python, which each process that joins would run for the first time.
    def __init__(self) -> None:
        self._turn = _thread.allocate_lock()
        self._bell = _thread.allocate_lock()
        self._bell.acquire()
        self._due: Dict[int, Tuple[float, Action]] = {}
        self._number = 0
        self._next = 0.0
        self._runs = False
        self._pid = os.getpid()

    def add(self, when: float, action: Action) -> int:
        """Do the action at that time, unless it is withdrawn before by the number that this returns.

        An action must be short and must not raise. It returns None, or the time at which it is to be done again.
        """
        with self._turn:
            self._number += 1
            self._due[self._number] = (when, action)
            if not self._runs:
                self._runs = True
                self._next = min(when, time.monotonic() + _IDLE_S)
                _thread.start_new_thread(self._run, ())
            elif when < self._next:
                self._ring()
            return self._number

    def withdraw(self, number: int) -> None:
        """When this returns the action is not being done either."""
        with self._turn:
            self._due.pop(number, None)
            if not self._due and self._next > time.monotonic() + _IDLE_S:
                self._ring()

    def _ring(self) -> None:
        if self._bell.locked():
            self._bell.release()

    def _run(self) -> None:
        while self._runs:
            self._bell.acquire(True, max(0.0, self._next - time.monotonic()))
            with self._turn:
                self._do_what_is_due(time.monotonic())

    def _do_what_is_due(self, now: float) -> None:
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


_watch = Watch()


def watch() -> Watch:
    """This process's; a forked child gets one of its own, since threads do not come along."""
    global _watch
    if _watch._pid != os.getpid():
        _watch = Watch()
    return _watch
