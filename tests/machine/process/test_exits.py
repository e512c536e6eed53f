"""Exits: the ends of processes that are not children, with statuses that another party reports."""

from __future__ import annotations

import select
import signal
import subprocess
import sys
from collections.abc import Iterator

import pytest

from harness.machine.process.exits import Exits
from harness.values.errors import HarnessError

LIMIT_MS = 10_000


@pytest.fixture
def exits() -> Iterator[Exits]:
    watching = Exits()
    yield watching
    watching.forget()


@pytest.fixture
def sleeper() -> Iterator[subprocess.Popen[bytes]]:
    """A process that does nothing until it is killed."""
    with subprocess.Popen([sys.executable, "-c", "import signal; signal.pause()"]) as process:
        yield process
        process.kill()


def collected(exits: Exits) -> list[tuple[int, int]]:
    """The first processes that can be collected."""
    poll = select.poll()
    poll.register(exits.fileno(), select.POLLIN)
    while True:
        assert poll.poll(LIMIT_MS), "no end was reported"
        if found := exits.collect():
            return found


@pytest.mark.parametrize(("code", "status"), [(0, 0), (3, 3 << 8), (137, signal.SIGKILL), (139, signal.SIGSEGV)])
def test_an_end_is_reported_as_a_wait_status(exits: Exits, sleeper: subprocess.Popen[bytes], code: int, status: int):
    """A code above 128 stands for a signal; Docker reports no more than that."""
    exits.watch(sleeper.pid, lambda: code)
    assert exits.collect() == []
    assert exits.kill(sleeper.pid)
    assert collected(exits) == [(sleeper.pid, status)]
    assert exits.collect() == []


def test_only_a_watched_process_that_has_not_ended_is_killed(exits: Exits, sleeper: subprocess.Popen[bytes]):
    """The pidfd never refers to another process, even if that has the same pid."""
    assert not exits.kill(sleeper.pid)
    exits.watch(sleeper.pid, lambda: 137)
    sleeper.kill()
    sleeper.wait()
    assert not exits.kill(sleeper.pid)
    assert collected(exits) == [(sleeper.pid, signal.SIGKILL)]


def test_a_status_that_cannot_be_read_is_an_error(exits: Exits, sleeper: subprocess.Popen[bytes]):
    """Not an end with an invented status."""

    def fails() -> int:
        raise HarnessError("Docker is gone")

    exits.watch(sleeper.pid, fails)
    exits.kill(sleeper.pid)
    with pytest.raises(HarnessError, match="Docker is gone"):
        collected(exits)


def test_a_forgotten_process_is_not_reported(exits: Exits, sleeper: subprocess.Popen[bytes]):
    """The next play gets nothing of the one before."""
    exits.watch(sleeper.pid, lambda: 137)
    exits.kill(sleeper.pid)
    exits.forget()
    assert exits.collect() == []
