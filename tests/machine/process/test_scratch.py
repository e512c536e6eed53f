"""Temporary folders: each ends with its block, and that of a killed process with the next one."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from harness.machine.process.scratch import scratch

PREFIX = "rdzv-scratch-test-"
HOLDER = f"""
import sys
from harness.machine.process.scratch import scratch
with scratch({PREFIX!r}) as folder:
    print(folder, flush=True)
    sys.stdin.read()
"""


@pytest.fixture(autouse=True)
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where folders are made."""
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", None)
    return tmp_path


def test_a_folder_ends_with_its_block(temporary: Path) -> None:
    """Whatever is in it; two of one prefix do not touch each other."""
    with scratch(PREFIX) as one, scratch(PREFIX) as other:
        (one / "a" / "b").mkdir(parents=True)
        assert one != other
        assert sorted(temporary.iterdir()) == sorted([one, other])
    assert list(temporary.iterdir()) == []


def test_what_a_killed_process_has_left_is_deleted_by_the_next(temporary: Path) -> None:
    """But not while it lives, and not what has no lock or another prefix."""
    stranger, other = temporary / f"{PREFIX}stranger", temporary / "rdzv-other-1"
    for folder in (stranger, other):
        folder.mkdir()
    (other / "lock").touch()
    command = [sys.executable, "-c", HOLDER]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        left = Path(holder.stdout.readline().strip())
        (left / "runs").mkdir()
        with scratch(PREFIX):
            assert left.is_dir()
        holder.kill()
    assert left.is_dir()
    with scratch(PREFIX):
        assert not left.exists()
    assert sorted(temporary.iterdir()) == sorted([stranger, other])
