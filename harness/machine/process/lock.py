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

_FLAGS = os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


@contextlib.contextmanager
def hold(path: Path) -> Iterator[None]:
    """Create a lock file and hold it for the block; the file is deleted afterwards. Raises as `create`."""
    descriptor = create(path)
    try:
        yield
    finally:
        with contextlib.suppress(OSError):
            path.unlink()
        os.close(descriptor)


def create(path: Path) -> int:
    """Make a lock file, which is held until the descriptor that is returned is closed, or this process ends.

    Raises FileExistsError if the file is there already, held or not; OSError where it cannot be made.
    """
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        except OSError:  # a file system without locks: there nobody can find out, and so it counts as held
            return descriptor
        if os.fstat(descriptor).st_nlink:
            return descriptor
        os.close(descriptor)  # somebody took it over and deleted it before it was locked


def take(path: Path) -> int | None:
    """Hold a lock file that stays where it is, made if there is none, until the descriptor returned is closed.

    None if a living process holds it, or if its file system has no locks. Raises OSError where it cannot be made.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | _FLAGS, 0o644)
    if _lock(descriptor, fcntl.LOCK_EX):
        return descriptor
    os.close(descriptor)
    return None


@contextlib.contextmanager
def taken_over(path: Path) -> Iterator[bool]:
    """Take an existing lock whose holder has ended, for the block; yields whether it was free.

    Missing is not free: then there is nothing to take over. Where locks do not work, nothing is free.
    """
    try:
        descriptor = os.open(path, os.O_RDWR | _FLAGS)
    except OSError:
        yield False
        return
    try:
        yield _lock(descriptor, fcntl.LOCK_EX)
    finally:
        os.close(descriptor)


def is_held(path: Path) -> bool:
    """Whether a living process holds it, also where nobody can find out; a missing file is not held."""
    try:
        descriptor = os.open(path, os.O_RDONLY | _FLAGS)
    except FileNotFoundError:
        return False
    except OSError:
        return True
    try:
        return not _lock(descriptor, fcntl.LOCK_SH)
    finally:
        os.close(descriptor)


def _lock(descriptor: int, how: int) -> bool:
    try:
        fcntl.flock(descriptor, how | fcntl.LOCK_NB)
    except OSError:
        return False
    return True
