"""A process with all its descendants: found while they stand still, so that none is born unseen."""

from __future__ import annotations

import contextlib
import os
import signal

from harness.machine.process import pidfd
from harness.machine.process.pidfd import PidfdProcess
from harness.values.errors import HarnessError

STOP_LIMIT_NS = 5_000_000_000
"""A thread stops within microseconds unless it sits in an uninterruptible system call (a slow disk)."""

END_LIMIT_NS = 5_000_000_000
"""The end of a process with torch takes some 10 ms; a process that is still there by then hangs in the kernel."""


def descendants(pid: int) -> list[int]:
    """The pids below a process, parents first, in the order of their numbers; a snapshot, empty if it is gone."""
    found = sorted(pidfd.children_of(pid))
    for one in found:
        found += [child for child in sorted(pidfd.children_of(one)) if child not in found]
    return found


def stop_descendants(root: PidfdProcess, stack: contextlib.ExitStack) -> list[PidfdProcess]:
    """Stop a process and everything below it; returns what is below it, held until `stack` ends.

    Looks again until nothing is new. A process whose parent had ended before is below its reaper and is not found.
    Raises HarnessError if one does not stop, or if /proc does not show this process tree.
    """
    if os.readlink("/proc/self") != str(os.getpid()):
        raise HarnessError("the process tree cannot be read: /proc shows an outer one; mount /proc anew")
    _stop(root)
    found = {root.pid: root}
    while new := [held for parent in found.values() for held in _unseen(parent, found, stack)]:
        for held in new:
            _stop(held)
            found[held.pid] = held
    return [held for held in found.values() if held is not root]


def kill_tree(pid: int) -> None:
    """End a process and everything below it with SIGKILL, and wait until all have ended.

    Raises ProcessLookupError if there is no such process, HarnessError if one of them does not stop or end.
    """
    with contextlib.ExitStack() as stack:
        root = stack.enter_context(pidfd.hold(pid))
        held = [root, *stop_descendants(root, stack)]
        for one in held:
            one.signal(signal.SIGKILL)
        for one in held:
            await_end(one)


def await_end(held: PidfdProcess) -> None:
    """Wait for the end of a process that was sent SIGKILL; raises HarnessError if it does not come."""
    if not held.await_end(END_LIMIT_NS):
        raise HarnessError(
            f"process {held.pid} did not end within {END_LIMIT_NS / 1e9:g} s of SIGKILL, its threads are "
            f"{held.states()!r}; look for a wedged file system or device"
        )


def _unseen(parent: PidfdProcess, seen: dict[int, PidfdProcess], stack: contextlib.ExitStack) -> list[PidfdProcess]:
    """The living children of a process that stands still, except those already seen."""
    found = []
    for pid in pidfd.children_of(parent.pid):
        if pid in seen:
            continue
        with contextlib.suppress(ProcessLookupError):
            held = stack.enter_context(pidfd.hold(pid))
            # A pid is given anew where nobody waits for a child: only what is a child still is the one that was held.
            if pid in pidfd.children_of(parent.pid) and not held.ended():
                found.append(held)
    return found


def _stop(held: PidfdProcess) -> None:
    if held.signal(signal.SIGSTOP) and not held.await_stop(True, STOP_LIMIT_NS):
        raise HarnessError(
            f"process {held.pid} did not stop within {STOP_LIMIT_NS / 1e9:g} s, its threads are {held.states()!r}; "
            "does a debugger hold it?"
        )
