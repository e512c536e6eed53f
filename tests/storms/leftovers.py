"""Finding whatever a harness left on the machine, by a mark in the environment that all its processes inherit."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

MARK = "RDZV_TEST_MARK"


def marked(mark: str) -> list[int]:
    """Pids of living processes, zombies not among them, that carry the mark."""
    needle = f"{MARK}={mark}".encode()
    return [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit() and _carries(entry, needle)]


def _carries(entry: Path, needle: bytes) -> bool:
    try:
        state = (entry / "stat").read_text().rpartition(")")[2].split()[0]
        return state not in "ZX" and needle in (entry / "environ").read_bytes().split(b"\0")
    except OSError:
        return False


def await_none(mark: str, within_seconds: float) -> list[int]:
    """What is still there after `within_seconds`; returns early once nothing is."""
    return _await(lambda: marked(mark), within_seconds)


def _await(left: Callable[[], list[int]], within_seconds: float) -> list[int]:
    deadline = time.monotonic() + within_seconds
    while (rest := left()) and time.monotonic() < deadline:
        time.sleep(0.005)
    return rest


def environment(mark: str) -> dict[str, str]:
    """Our environment with the mark in it."""
    return {**os.environ, MARK: mark}
