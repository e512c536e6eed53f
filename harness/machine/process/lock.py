"""Locks that say whether their holder lives, in any process tree and on any host that shares the file.

A pid says nothing outside its process tree. A file lock is released by the kernel when its holder ends, however it
ends, and programs that the holder starts do not inherit it.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def hold(path: Path) -> Iterator[None]:
    """Create a lock file and hold it for the block; the file is deleted afterwards.

    Raises FileExistsError if the file is there already, held or not; OSError where it cannot be made or locked.
    """
    descriptor = _create(path)
    try:
        yield
    finally:
        with contextlib.suppress(OSError):
            path.unlink()
        os.close(descriptor)


def _create(path: Path) -> int:
    """Make and lock it; once more if `taken_over` found it before it was locked, and its user deleted it."""
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        except OSError:
            os.close(descriptor)
            raise
        if os.fstat(descriptor).st_nlink:
            return descriptor
        os.close(descriptor)


@contextlib.contextmanager
def taken_over(path: Path) -> Iterator[bool]:
    """Take an existing lock whose holder has ended, for the block; yields whether it was free.

    Missing is not free: then there is nothing to take over. Where locks do not work, nothing is free.
    """
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except OSError:
        yield False
        return
    try:
        yield _lock(descriptor)
    finally:
        os.close(descriptor)


def is_held(path: Path) -> bool:
    """Whether a living process holds it; a missing file is not held."""
    with taken_over(path) as was_free:
        return not was_free and path.exists()


def _lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True
