"""A lock says whether its holder lives, whatever process tree the holder is in, and however it ended."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from harness.machine.process import lock

HOLDER = (
    "import sys; from pathlib import Path; from harness.machine.process import lock\n"
    "with lock.hold(Path(sys.argv[1])): print(flush=True); sys.stdin.read()"
)


def test_a_lock_is_held_for_the_block_only(tmp_path: Path):
    """Its file is there meanwhile, and deleted afterwards."""
    path = tmp_path / "lock"
    assert not lock.is_held(path)
    with lock.hold(path):
        assert lock.is_held(path)
        with lock.taken_over(path) as was_free:
            assert not was_free
    assert not path.exists()


def test_a_lock_has_one_holder(tmp_path: Path):
    """The second is refused, also by what a killed holder left."""
    path = tmp_path / "lock"
    with lock.hold(path), pytest.raises(FileExistsError):
        with lock.hold(path):
            pass
    path.touch()
    with pytest.raises(FileExistsError), lock.hold(path):
        pass


def test_the_lock_of_a_killed_holder_can_be_taken_over(tmp_path: Path):
    """The kernel releases it; who takes it over has it alone until the end of the block."""
    path = tmp_path / "lock"
    command = [sys.executable, "-c", HOLDER, str(path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        holder.stdout.readline()
        assert lock.is_held(path)
        holder.kill()
        holder.wait()
    assert path.exists()
    with lock.taken_over(path) as was_free:
        assert was_free
        assert lock.is_held(path)
    assert not lock.is_held(path)


def test_a_program_that_the_holder_starts_does_not_hold_it(tmp_path: Path):
    """It may outlive the holder for long."""
    path = tmp_path / "lock"
    with lock.hold(path):
        other = subprocess.Popen(["cat"], stdin=subprocess.PIPE, close_fds=False)
    path.touch()
    assert not lock.is_held(path)
    other.communicate()


def test_a_lock_file_that_stays_has_one_holder_at_a_time(tmp_path: Path):
    """While it is taken another one gets nothing; afterwards the file is there, and can be taken."""
    path = tmp_path / "lock"
    held = lock.take(path)
    assert held is not None
    assert lock.take(path) is None
    os.close(held)
    assert path.exists()
    again = lock.take(path)
    assert again is not None
    os.close(again)
