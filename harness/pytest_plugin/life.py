"""A pipe from pytest's main process to its xdist workers: worlds in a worker end when the main process does.

A worker learns from xdist that its main process is gone, but a test that runs goes on for another five seconds.
"""

from __future__ import annotations

import contextlib
import os
import select
from typing import Any

import pytest

_KEY = "rdzv_life"
_PIPE: pytest.StashKey[tuple[int, int]] = pytest.StashKey()
_OPENED: pytest.StashKey[int] = pytest.StashKey()


def give(config: pytest.Config, workerinput: dict[str, Any]) -> None:
    """In the main process: have a worker find the pipe, which is made for the first."""
    if _PIPE not in config.stash:
        config.stash[_PIPE] = os.pipe()
    workerinput[_KEY] = f"/proc/{os.getpid()}/fd/{config.stash[_PIPE][0]}"


def end(config: pytest.Config) -> None:
    """In the main process: end the worlds of all workers."""
    for descriptor in config.stash.get(_PIPE, ()):
        os.close(descriptor)
    with contextlib.suppress(KeyError):
        del config.stash[_PIPE]


def life_fd(config: pytest.Config) -> int | None:
    """In a worker: the pipe's read end; None where it cannot be had, in the main process and on another machine."""
    name = getattr(config, "workerinput", {}).get(_KEY)
    if name is not None and _OPENED not in config.stash:
        with contextlib.suppress(OSError):
            config.stash[_OPENED] = os.open(name, os.O_RDONLY | os.O_CLOEXEC)
    return config.stash.get(_OPENED, None)


def is_over(config: pytest.Config) -> bool:
    """In a worker: whether the main process has ended, or was interrupted. Then no result is reported any more."""
    descriptor = life_fd(config)
    return descriptor is not None and bool(select.select([descriptor], [], [], 0)[0])


def leave_if_over(session: pytest.Session) -> None:
    """Skip a test whose result is not reported any more, and let it be the last."""
    if is_over(session.config):
        session.shouldstop = "the main process has ended"
        pytest.skip(session.shouldstop)
