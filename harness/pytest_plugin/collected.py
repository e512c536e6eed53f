"""Whether tests of ours were collected: workers of xdist tell the main process through a file that has no name.

The main process sees only the ids of what workers collect, and the id of a test in Python does not show its fixtures.
"""

from __future__ import annotations

import contextlib
import os
from typing import Any

import pytest

_KEY = "rdzv_collected"
_FILE: pytest.StashKey[int] = pytest.StashKey()


def give(config: pytest.Config, workerinput: dict[str, Any]) -> None:
    """In the main process: have a worker find the file, which is made for the first."""
    if _FILE not in config.stash:
        config.stash[_FILE] = os.memfd_create("rdzv-collected", os.MFD_CLOEXEC)
    workerinput[_KEY] = f"/proc/{os.getpid()}/fd/{config.stash[_FILE]}"


def tell(config: pytest.Config) -> None:
    """In a worker: it has collected a test of ours."""
    # Without the file the main process is on another machine, or has ended; then each test says what is wrong.
    with contextlib.suppress(KeyError, OSError), open(config.workerinput[_KEY], "ab") as file:  # type: ignore[attr-defined]
        file.write(b"1")


def is_told(config: pytest.Config) -> bool:
    """In the main process: whether a worker has collected a test of ours."""
    return _FILE in config.stash and os.fstat(config.stash[_FILE]).st_size > 0


def close(config: pytest.Config) -> None:
    """Close the file."""
    if _FILE in config.stash:
        os.close(config.stash[_FILE])
        del config.stash[_FILE]
