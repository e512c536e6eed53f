"""At most so many at a time, among all processes of this user: a lock that ends with whoever holds it."""

from __future__ import annotations

import contextlib
import fcntl
import os
import select
from pathlib import Path

from harness import clock
from harness.values.errors import HarnessError

_LOOK_AGAIN_S = 0.05


def acquire(folder: Path, most: int, within_ns: int) -> int:
    """Wait for a turn; a descriptor that is to be closed when the turn is over.

    Raises HarnessError if `most` others have theirs for so many nanoseconds.
    """
    folder.mkdir(parents=True, exist_ok=True)
    deadline_ns = clock.now_ns() + within_ns
    while True:
        for number in range(most):
            descriptor = os.open(folder / f"turn-{number}", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            with contextlib.suppress(BlockingIOError):
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return descriptor
            os.close(descriptor)
        if clock.now_ns() > deadline_ns:
            raise HarnessError(f"{most} others have been at it for {within_ns / 1e9:.0f} s; give fewer --jobs")
        select.select([], [], [], _LOOK_AGAIN_S)  # nothing tells of a lock that becomes free
