"""exits: the ends of processes that are not ours to wait for, as somebody else tells them."""

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
    """What there is to collect, once there is something."""
    poll = select.poll()
    poll.register(exits.fileno(), select.POLLIN)
    while True:
        assert poll.poll(LIMIT_MS), "nobody was told of"
        if found := exits.collect():
            return found


@pytest.mark.parametrize(("code", "status"), [(0, 0), (3, 3 << 8), (137, signal.SIGKILL), (139, signal.SIGSEGV)])
def test_an_end_is_told_as_a_wait_status(exits: Exits, sleeper: subprocess.Popen[bytes], code: int, status: int):
    """A code above 128 is a signal's; the engine tells no more than that."""
    exits.watch(sleeper.pid, lambda: code)
    assert exits.collect() == []
    assert exits.kill(sleeper.pid)
    assert collected(exits) == [(sleeper.pid, status)]
    assert exits.collect() == []


def test_nobody_is_killed_who_is_not_watched_or_has_ended(exits: Exits, sleeper: subprocess.Popen[bytes]):
    """By the descriptor no other process can be meant, even where the number was given to another."""
    assert not exits.kill(sleeper.pid)
    exits.watch(sleeper.pid, lambda: 137)
    sleeper.kill()
    sleeper.wait()
    assert not exits.kill(sleeper.pid)
    assert collected(exits) == [(sleeper.pid, signal.SIGKILL)]


def test_an_engine_that_does_not_tell_is_an_error(exits: Exits, sleeper: subprocess.Popen[bytes]):
    """Not an end with an invented status."""

    def fails() -> int:
        raise HarnessError("the engine is gone")

    exits.watch(sleeper.pid, fails)
    exits.kill(sleeper.pid)
    with pytest.raises(HarnessError, match="the engine is gone"):
        collected(exits)


def test_whoever_was_forgotten_is_not_told_of(exits: Exits, sleeper: subprocess.Popen[bytes]):
    """A next play hears nothing of the one before."""
    exits.watch(sleeper.pid, lambda: 137)
    exits.kill(sleeper.pid)
    exits.forget()
    assert exits.collect() == []
