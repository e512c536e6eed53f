"""`--rdzv-jobs`: how many workers of xdist play side by side."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from harness.pytest_plugin import slots


def process(**workerinput: Any) -> Any:
    """The configuration of a process; of a worker, if xdist gave it something."""
    config = SimpleNamespace(stash=pytest.Stash())
    if workerinput:
        config.workerinput = workerinput
    return config


@pytest.fixture
def workers() -> Iterator[Callable[[int, int], list[Any]]]:
    """The main process and its workers, for a number of jobs."""
    opened: list[Any] = []

    def start(count: int, jobs: int) -> list[Any]:
        main = process()
        inputs: list[dict[str, Any]] = [{"workerid": f"gw{number}"} for number in range(count)]
        for one in inputs:
            slots.give(main, one, jobs)
        made = [process(**one) for one in inputs]
        opened.extend([main, *made])
        return made

    yield start
    for config in opened:
        slots.close(config)


def taken(worker: Any, jobs: int) -> list[int]:
    """The slots that another process would have to wait for."""
    name = worker.workerinput["rdzv_slots"]
    child = os.fork()
    if child == 0:
        found = 0
        try:
            descriptor = os.open(name, os.O_RDWR)
            for slot in range(jobs):
                try:
                    fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, slot)
                except OSError:
                    found |= 1 << slot
        finally:
            os._exit(found)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    return [slot for slot in range(jobs) if status & 1 << slot]


def test_workers_share_the_slots_in_turn(workers: Callable[[int, int], list[Any]]) -> None:
    """Of three workers with two jobs, the first and the third never play at once."""
    first, second, third = workers(3, 2)
    slots.acquire(first)
    assert taken(third, 2) == [0]
    slots.acquire(second)
    assert taken(third, 2) == [0, 1]
    slots.release(first)
    assert taken(third, 2) == [1]
    slots.acquire(third)
    assert taken(first, 2) == [0, 1]


def test_a_slot_is_taken_once_for_set_up_and_play(workers: Callable[[int, int], list[Any]]) -> None:
    """The set-up of an item takes it, the play asks again, and one release is enough."""
    (worker,) = workers(1, 1)
    slots.acquire(worker)
    slots.acquire(worker)
    assert taken(worker, 1) == [0]
    slots.release(worker)
    assert taken(worker, 1) == []
    slots.release(worker)


def test_a_worker_whose_main_process_is_gone_does_not_wait() -> None:
    """Or whose main process is on another machine: the name leads nowhere."""
    worker = process(workerid="gw0", rdzv_jobs=1, rdzv_slots="/proc/0/fd/0")
    slots.acquire(worker)
    slots.release(worker)


def test_without_a_limit_nothing_is_shared() -> None:
    """Neither in the main process nor in a worker that was given no file."""
    for config in (process(), process(workerid="gw0")):
        slots.acquire(config)
        slots.release(config)
        assert len(config.stash) == 0
