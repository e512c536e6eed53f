"""A temporary folder for one process: what a process that was killed has left is deleted by the next one."""

from __future__ import annotations

import contextlib
import secrets
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from harness.machine.process import lock

LOCK = "lock"
"""In each folder; held as long as its process lives."""


@contextlib.contextmanager
def scratch(prefix: str) -> Iterator[Path]:
    """A new folder for the block, and no other of this prefix whose process has ended. Raises OSError."""
    for left in Path(tempfile.gettempdir()).glob(f"{prefix}*"):
        with lock.taken_over(left / LOCK) as was_free:
            if was_free:
                _delete(left)
    folder = Path(tempfile.gettempdir()) / f"{prefix}{secrets.token_hex(8)}"  # an interrupt may come while it is made
    try:
        folder.mkdir(mode=0o700)
        with lock.hold(folder / LOCK):
            try:
                yield folder
            finally:
                _empty(folder)
    finally:
        _delete(folder)


def _delete(folder: Path) -> None:
    _empty(folder)
    shutil.rmtree(folder, ignore_errors=True)


def _empty(folder: Path) -> None:
    """Delete everything but the lock: if this process is killed meanwhile, the next one deletes the rest."""
    with contextlib.suppress(OSError):
        for path in folder.iterdir():
            if path.name != LOCK:
                if path.is_dir() and not path.is_symlink():
                    shutil.rmtree(path, ignore_errors=True)
                else:
                    path.unlink()
