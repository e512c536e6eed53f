"""A lock of one runner: while it is held, the runner needs its run directories, and nobody deletes them."""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import secrets
from pathlib import Path

PREFIX = ".runner-"
_NAME = re.compile(r"\.runner-[0-9a-f]{16}\.lock")


class Holder:
    """A lock file in the folder of the run directories, locked from its making until `release`.

    The kernel ends the lock with its process, however that dies. The descriptor is closed in every program that the
    process starts, so none of them holds the lock longer. Locks of one file hold across users and namespaces.

    Raises OSError where the file cannot be made.
    """

    def __init__(self, folder: Path) -> None:
        self._path, self._descriptor = _locked_file(folder)

    @property
    def name(self) -> str:
        """The name of the lock file, which `run.json` says."""
        return self._path.name

    @property
    def is_seen(self) -> bool:
        """Whether others can find the lock: nobody has deleted the folder."""
        return os.path.lexists(self._path)

    def release(self) -> None:
        """End the lock, and delete its file."""
        self._path.unlink(missing_ok=True)
        os.close(self._descriptor)


def _locked_file(folder: Path) -> tuple[Path, int]:
    while True:
        path = folder / f"{PREFIX}{secrets.token_hex(8)}.lock"
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:  # somebody tests at this moment whether it is locked
            path.unlink(missing_ok=True)
        except OSError:  # a file system without locks: there nobody can tell, and so nobody deletes
            return path, descriptor
        if os.fstat(descriptor).st_nlink:
            return path, descriptor
        os.close(descriptor)  # it was swept before it was locked


def is_held(folder: Path, name: object) -> bool:
    """Whether the lock of that name is held; also where nobody can tell."""
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        return False
    try:
        descriptor = os.open(folder / name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    except OSError:
        return True
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return True
    finally:
        os.close(descriptor)
    return False


def sweep(folder: Path, name: str) -> None:
    """Delete a lock file whose holder has died."""
    if not _NAME.fullmatch(name):
        return
    with contextlib.suppress(OSError):
        descriptor = os.open(folder / name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            os.unlink(folder / name)
        finally:
            os.close(descriptor)
