"""A rank that cannot write its operations ends with a status of its own."""

import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from harness.rank.recorder import CANNOT_RECORD, write_all

ROOT = Path(__file__).parents[2]
PROGRAM = """
import sys
from harness.rank.recorder import Recorder
from harness.values.ops import INVOKE, Op, Process
recorder = Recorder(sys.argv[1], 0, 1, -1)
for number in range(100):
    recorder.write(Op(number, Process(0), INVOKE, "set", value="x" * 100))
"""


@pytest.mark.parametrize(("place", "bytes_"), [("ops.jsonl", 1000), ("missing/ops.jsonl", None), ("ops.jsonl", None)])
def test_what_cannot_be_recorded_ends_the_rank(tmp_path, place, bytes_):
    """At the limit of a file's size, which cuts a line short, and where the file cannot be made."""

    def limit():
        resource.setrlimit(resource.RLIMIT_FSIZE, (bytes_, bytes_))

    argv = [sys.executable, "-c", PROGRAM, str(tmp_path / place)]
    done = subprocess.run(
        argv, cwd=ROOT, preexec_fn=limit if bytes_ else None, capture_output=True, text=True, timeout=60
    )
    is_refused = bytes_ is not None or "missing" in place
    assert done.returncode == (CANNOT_RECORD if is_refused else 0), done.stderr
    assert ("cannot write" in done.stderr) == is_refused


def test_what_the_kernel_takes_in_parts_is_written_whole(monkeypatch):
    """As it does when a disk is nearly full."""
    taken = []
    monkeypatch.setattr(os, "write", lambda fd, data: taken.append(data[:3]) or len(data[:3]))
    write_all(9, b"12345678")
    assert b"".join(taken) == b"12345678"
