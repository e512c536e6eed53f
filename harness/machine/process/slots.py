"""A limited number of slots, shared by all processes of this user: file locks that end with their holder."""

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
    """Wait for one of `most` slots; returns a descriptor, and closing it releases the slot.

    Raises HarnessError if no slot becomes free within `within_ns` nanoseconds.
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
            raise HarnessError(f"all {most} slots were in use for {within_ns / 1e9:.0f} s; give fewer --jobs")
        select.select([], [], [], _LOOK_AGAIN_S)  # flock() has no wait with a limit
