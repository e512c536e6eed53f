"""Stops a process and waits until it stands still: kill() returns before the signal is delivered."""

from __future__ import annotations

import signal

from harness.machine.process import pidfd
from harness.machine.process.children import Children

LIMIT_NS = 60_000_000_000


def freeze(children: Children, pid: int) -> None:
    """Stop a child; returns when every thread of it is stopped."""
    children.send(pid, signal.SIGSTOP)
    with pidfd.hold(pid) as held:
        assert held.await_stop(True, LIMIT_NS)
