"""At most so many worlds side by side, over all workers of xdist: locks on parts of a file that has no name."""

from __future__ import annotations

import fcntl
import os
from contextlib import suppress
from typing import Any

import pytest

_JOBS, _FILE = "rdzv_jobs", "rdzv_slots"
_SHARED: pytest.StashKey[int] = pytest.StashKey()
_OPENED: pytest.StashKey[int] = pytest.StashKey()


def give(config: pytest.Config, workerinput: dict[str, Any], jobs: int) -> None:
    """In the main process: have a worker find the file, which is made for the first."""
    if _SHARED not in config.stash:
        config.stash[_SHARED] = os.memfd_create("rdzv-slots", os.MFD_CLOEXEC)
    workerinput[_JOBS] = jobs
    workerinput[_FILE] = f"/proc/{os.getpid()}/fd/{config.stash[_SHARED]}"


def close(config: pytest.Config) -> None:
    """Close the file."""
    for key in (_SHARED, _OPENED):
        if key in config.stash:
            os.close(config.stash[key])
            del config.stash[key]


def acquire(config: pytest.Config) -> None:
    """In a worker: wait until this worker's slot is free. Workers share slots in turn; without a limit it is at once.

    A slot is released by `release`, and when its process ends.
    """
    given = getattr(config, "workerinput", {})
    if _FILE not in given:
        return
    if _OPENED not in config.stash:
        with suppress(OSError):  # the main process is on another machine, or has ended
            config.stash[_OPENED] = os.open(given[_FILE], os.O_RDWR | os.O_CLOEXEC)
    if _OPENED in config.stash:
        fcntl.lockf(config.stash[_OPENED], fcntl.LOCK_EX, 1, _slot(given))


def release(config: pytest.Config) -> None:
    """Let the next worker play; without a slot nothing happens."""
    if _OPENED in config.stash:
        fcntl.lockf(config.stash[_OPENED], fcntl.LOCK_UN, 1, _slot(config.workerinput))  # type: ignore[attr-defined]


def _slot(workerinput: dict[str, Any]) -> int:
    number = "".join(filter(str.isdigit, str(workerinput.get("workerid", "")))) or "0"
    return int(number) % int(workerinput[_JOBS])
