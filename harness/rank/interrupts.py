"""Ctrl-C in a rank: SIGINT in its main thread, which ends the call that is going on there, and nothing else."""

from __future__ import annotations

import os
import signal
from typing import Any


class Interrupts:
    """The process's handling of SIGINT: KeyboardInterrupt is raised within a call only.

    Python's own handler raises it wherever the main thread is. One that came when its call had just ended would end
    the rank, which a user's program has no reason to survive, but a play has.

    Attributes:
        may_raise: whether the main thread is in a call. Set and read by that thread only.
    """

    def __init__(self) -> None:
        self.may_raise = False

    def install(self) -> None:
        """From now on; raises ValueError outside the main thread."""
        signal.signal(signal.SIGINT, self._handle)

    def _handle(self, _signal: int, _frame: Any) -> None:
        if self.may_raise:
            self.may_raise = False
            raise KeyboardInterrupt


INTERRUPTS = Interrupts()


def send() -> None:
    """As a Ctrl-C: the kernel has the main thread handle it if that can. Not pthread_kill, which knows no clones."""
    os.kill(os.getpid(), signal.SIGINT)
