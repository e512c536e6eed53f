"""Having a process stand still: SIGSTOP is only on its way when it has been sent."""

from __future__ import annotations

import signal

from harness.machine import processes
from harness.machine.children import Children

LIMIT_NS = 60_000_000_000


def freeze(children: Children, pid: int) -> None:
    """Stop a child; returns when every thread of it stands still."""
    children.send(pid, signal.SIGSTOP)
    with processes.hold(pid) as held:
        assert held.await_stop(True, LIMIT_NS)
