"""A temporary folder for one process: what a process that was killed has left is deleted by the next one."""

from __future__ import annotations

import contextlib
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
                shutil.rmtree(left, ignore_errors=True)
    folder = Path(tempfile.mkdtemp(prefix=prefix))
    try:
        with lock.hold(folder / LOCK):
            yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
