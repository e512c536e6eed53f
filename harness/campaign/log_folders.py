"""A folder for the logs of each harness on one folder of runs, deleted when its harness has ended, however it ended.

    .controllers/a1b2c3d4.lock   held by the harness for as long as it lives
    .controllers/a1b2c3d4/       made after the lock, deleted before it

Names are random: two harnesses in two process trees may have one pid.
"""

from __future__ import annotations

import contextlib
import secrets
import shutil
from collections.abc import Iterator
from pathlib import Path

from harness.archive.own_folder import make
from harness.machine.process import lock

_LOCK = ".lock"
_NAME_BYTES = 8


@contextlib.contextmanager
def own_folder(parent: Path) -> Iterator[Path]:
    """A folder below `parent` that no other harness has, for the block; raises OSError."""
    make(parent)
    folder = parent / secrets.token_hex(_NAME_BYTES)
    with lock.hold(folder.with_suffix(_LOCK)):
        folder.mkdir()
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def delete_those_of_ended_harnesses(parent: Path) -> None:
    """Delete what harnesses left that were killed; those of living ones stay, wherever on this file system they run."""
    for path in sorted(parent.glob(f"*{_LOCK}")):
        with lock.taken_over(path) as was_free:
            if was_free:
                shutil.rmtree(path.with_suffix(""), ignore_errors=True)
                path.unlink(missing_ok=True)
