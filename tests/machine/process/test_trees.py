"""Process trees: everything below a process is found, stopped and ended, and nothing else."""

from __future__ import annotations

import contextlib
import subprocess
import sys
from collections.abc import Iterator

import pytest

from harness.machine.process import pidfd, trees

PARENT = """
import os, time
for depth in range(3):
    if os.fork():
        break
print(os.getpid(), flush=True)
time.sleep(60)
"""
"""Three processes below the first, each the child of the one before; each prints its pid."""

FORKING = """
import os, time
print("ready", flush=True)
while True:
    if not os.fork():
        time.sleep(0.002)
        os._exit(0)
    os.waitpid(-1, os.WNOHANG)
"""


@contextlib.contextmanager
def process(source: str) -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen([sys.executable, "-I", "-c", source], stdout=subprocess.PIPE, text=True) as started:
        try:
            yield started
        finally:
            started.kill()


@contextlib.contextmanager
def chain() -> Iterator[list[int]]:
    """The pids of a tree of four processes, the root first; whatever is left is ended."""
    with process(PARENT) as root:
        assert root.stdout is not None
        pids = [int(root.stdout.readline()) for _ in range(4)]
        with contextlib.ExitStack() as held:
            ends = [held.enter_context(pidfd.hold(pid)) for pid in pids]
            try:
                yield [root.pid, *sorted(pid for pid in pids if pid != root.pid)]
            finally:
                for one in ends:
                    one.signal(9)


def test_the_descendants_of_a_process_are_listed_parents_first() -> None:
    """Children, their children, and theirs; none of a process without any."""
    with chain() as (root, *below):
        assert trees.descendants(root) == below
        assert trees.descendants(below[-1]) == []


def test_a_tree_is_stopped_whole_and_held() -> None:
    """Each of its processes stands still when they are returned."""
    with chain() as (root, *below), contextlib.ExitStack() as stack:
        held = stack.enter_context(pidfd.hold(root))
        found = trees.stop_descendants(held, stack)
        assert [one.pid for one in found] == below
        assert all(one.stopped() for one in (held, *found))


def test_all_of_a_tree_have_ended_when_it_was_killed() -> None:
    """Also those whose parents ended first, and which a reaper may not have collected yet."""
    with chain() as pids, contextlib.ExitStack() as stack:
        held = [stack.enter_context(pidfd.hold(pid)) for pid in pids]
        trees.kill_tree(pids[0])
        assert [one.ended() for one in held] == [True] * 4


def test_a_process_that_starts_others_all_the_time_leaves_none_behind() -> None:
    """It is stopped before its children are listed, so none is born between the last look and its end."""
    with process(FORKING) as root:
        assert root.stdout is not None
        root.stdout.readline()
        trees.kill_tree(root.pid)
        assert root.wait() == -9
        # All of them inherited the pipe: it ends once none of them is left.
        assert root.stdout.read() == ""


def test_a_tree_that_has_ended_cannot_be_killed() -> None:
    """The caller learns that there is no such process."""
    with process("pass") as root:
        root.wait()
        with pytest.raises(ProcessLookupError):
            trees.kill_tree(root.pid)
