"""One thread that does what is due at its time, and ends when nothing is: it costs a call less than a thread each."""

from __future__ import annotations

import _thread
import os
import threading
import time
from contextlib import contextmanager
from typing import Callable, Dict, Iterator, Optional, Tuple

_IDLE_S = 0.25


class Watch:
    """Actions at times (`time.monotonic`); one that is withdrawn in time is never done.

    An action must be short and must not raise. It returns None, or the time at which it is to be done again.
    """

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._due: Dict[int, Tuple[float, Callable[[], Optional[float]]]] = {}
        self._number = 0
        self._next = 0.0
        self._runs = False
        self._pid = os.getpid()

    @contextmanager
    def at(self, when: float, action: Callable[[], Optional[float]]) -> Iterator[None]:
        """Do the action at that time, unless the block ends before; after it, the action is not being done either."""
        number = self._add(when, action)
        try:
            yield
        finally:
            with self._changed:
                self._due.pop(number, None)

    def _add(self, when: float, action: Callable[[], Optional[float]]) -> int:
        with self._changed:
            self._number += 1
            self._due[self._number] = (when, action)
            if not self._runs:
                self._runs = True
                # Cheaper than a threading.Thread, which waits until it runs.
                _thread.start_new_thread(self._run, ())
            elif when < self._next:
                self._changed.notify()
            return self._number

    def _run(self) -> None:
        with self._changed:
            while self._step():
                pass
            self._runs = False

    def _step(self) -> bool:
        """Do what is due and wait for what comes next; False if there was nothing for a while."""
        now = time.monotonic()
        for number, (when, action) in list(self._due.items()):
            if when <= now:
                again = action()
                if again is None:
                    self._due.pop(number, None)
                else:
                    self._due[number] = (again, action)
        idle = not self._due
        self._next = min((when for when, _ in self._due.values()), default=now + _IDLE_S)
        # While calls come and go the thread stays: what is due is looked at again when it was due.
        self._changed.wait(max(0.0, self._next - time.monotonic()))
        return bool(self._due) or not idle


_watch = Watch()


def watch() -> Watch:
    """This process's; a forked child gets one of its own, since threads do not come along."""
    global _watch
    if _watch._pid != os.getpid():
        _watch = Watch()
    return _watch
