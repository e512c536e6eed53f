"""A lock of one runner: while it is held, the runner needs its run directories, and nobody deletes them."""

from __future__ import annotations

import os
import re
import secrets
from pathlib import Path

from harness.machine.process import lock

PREFIX = ".runner-"
_NAME = re.compile(r"\.runner-[0-9a-f]{16}\.lock")


class Holder:
    """A lock file in the folder of the run directories, locked from its making until `release`.

    Raises OSError where the file cannot be made.
    """

    def __init__(self, folder: Path) -> None:
        self._path = folder / f"{PREFIX}{secrets.token_hex(8)}.lock"
        self._descriptor = lock.create(self._path)

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


def is_held(folder: Path, name: object) -> bool:
    """Whether the lock of that name is held; also where nobody can find out."""
    return isinstance(name, str) and _NAME.fullmatch(name) is not None and lock.is_held(folder / name)


def sweep(folder: Path, name: str) -> None:
    """Delete a lock file whose holder has died."""
    if _NAME.fullmatch(name):
        with lock.taken_over(folder / name) as was_free:
            if was_free:
                (folder / name).unlink(missing_ok=True)
