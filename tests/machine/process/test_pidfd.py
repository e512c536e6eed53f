"""What can be seen of processes that are children of another process."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator

import pytest

from harness.machine.process.pidfd import child_called, children_of, hold, unreaped_status, waits_for_processor

# A parent with one child, which ends after a line of input; the parent waits for it after a second one.
PARENT = """
import os, sys
pid = os.fork()
if pid == 0:
    sys.stdin.readline()
    os._exit(7)
print(pid, flush=True)
os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
print("ended", flush=True)
sys.stdin.readline()
os.waitpid(pid, 0)
print("waited", flush=True)
sys.stdin.readline()
"""


@pytest.fixture
def parent() -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen(
        [sys.executable, "-c", PARENT], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
    ) as process:
        yield process
        process.kill()


def step(process: subprocess.Popen[str]) -> str:
    """Send it a line; returns the line that it prints next."""
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write("\n")
    return process.stdout.readline().strip()


def test_a_grandchild_is_found_under_its_parent_and_its_end_is_seen(parent: subprocess.Popen[str]) -> None:
    """Until its parent has waited for it, its status can be read too."""
    assert parent.stdout is not None
    child = int(parent.stdout.readline())
    assert children_of(parent.pid) == [child]
    assert child_called(parent.pid, child) == child
    assert child_called(parent.pid, os.getpid()) is None
    with hold(child) as held:
        assert (held.ended(), unreaped_status(child)) == (False, None)
        assert step(parent) == "ended"
        assert held.ended()
        assert os.waitstatus_to_exitcode(unreaped_status(child) or 0) == 7
        assert step(parent) == "waited"
        assert unreaped_status(child) is None
    assert children_of(parent.pid) == []


def test_a_process_that_is_gone_has_no_children() -> None:
    """Nothing is raised: it may have ended just now."""
    with subprocess.Popen([sys.executable, "-c", ""]) as gone:
        gone.wait()
    assert children_of(gone.pid) == []


def test_the_status_of_a_zombie_shows_its_signal() -> None:
    """It is the kernel's wait status."""
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    child.send_signal(signal.SIGKILL)
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    status = unreaped_status(child.pid)
    child.wait()
    assert status is not None
    assert os.WTERMSIG(status) == signal.SIGKILL


def test_a_busy_process_waits_for_a_processor_and_a_sleeping_one_does_not() -> None:
    """A loop is runnable at every look; a process that reads from a pipe is not."""
    with subprocess.Popen(
        [sys.executable, "-c", "print(flush=True)\nwhile True: pass"], stdout=subprocess.PIPE
    ) as busy:
        assert busy.stdout is not None
        busy.stdout.readline()
        assert all(waits_for_processor(busy.pid) for _ in range(20))
        busy.kill()
    with subprocess.Popen(["cat"], stdin=subprocess.PIPE) as sleeper:
        while waits_for_processor(sleeper.pid):
            pass
        assert not any(waits_for_processor(sleeper.pid) for _ in range(20))
        assert sleeper.stdin is not None
        sleeper.stdin.close()
