"""Slots are limited among all processes, and end with their holders."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from harness.machine.process import slots
from harness.values.errors import HarnessError

HOLDER = (
    "import sys; from pathlib import Path; from harness.machine.process import slots;"
    "slots.acquire(Path(sys.argv[1]), 2, 0); "
)


def test_a_third_waits_and_gets_an_error_that_names_jobs(tmp_path: Path):
    """Two hold a slot; the third gets none until one of them is released."""
    first, second = (slots.acquire(tmp_path, 2, 0) for _ in range(2))
    with pytest.raises(HarnessError, match="--jobs"):
        slots.acquire(tmp_path, 2, 0)
    os.close(first)
    third = slots.acquire(tmp_path, 2, 0)
    for descriptor in (second, third):
        os.close(descriptor)


def test_a_slot_is_free_when_its_holder_is_killed(tmp_path: Path):
    """The kernel releases the lock, without any cleanup."""
    program = HOLDER + "print(1, flush=True); sys.stdin.read()"
    command = [sys.executable, "-c", program, str(tmp_path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout is not None
        other.stdout.readline()
        mine = slots.acquire(tmp_path, 2, 0)
        with pytest.raises(HarnessError):
            slots.acquire(tmp_path, 2, 0)
        other.kill()
        other.wait()
        again = slots.acquire(tmp_path, 2, 0)
    for descriptor in (mine, again):
        os.close(descriptor)
