"""Temporary folders: each ends with its block, and that of a killed process with the next one."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

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
KILLED_WHILE_IT_DELETES = f"""
import os, shutil, signal
from harness.machine.process.scratch import scratch
shutil.rmtree = lambda *words, **named: os.kill(os.getpid(), signal.SIGKILL)
with scratch({PREFIX!r}) as folder:
    (folder / "runs").mkdir()
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


def _interrupted_after(act: Callable[..., Any]) -> Callable[..., Any]:
    """It acts, and then an interrupt is there: a system call ends first."""

    def acts(*words: Any, **named: Any) -> None:
        act(*words, **named)
        raise KeyboardInterrupt

    return acts


def test_an_interrupt_while_it_is_made_leaves_no_folder(temporary: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A player may be stopped at any moment."""
    monkeypatch.setattr(os, "mkdir", _interrupted_after(os.mkdir))
    with pytest.raises(KeyboardInterrupt), scratch(PREFIX):
        pass
    assert list(temporary.iterdir()) == []


def test_an_interrupt_while_it_is_deleted_leaves_no_folder(temporary: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The rest is deleted all the same."""
    rmdir = os.rmdir

    def once(*words: Any, **named: Any) -> None:
        monkeypatch.setattr(os, "rmdir", rmdir)
        _interrupted_after(rmdir)(*words, **named)

    monkeypatch.setattr(os, "rmdir", once)
    with pytest.raises(KeyboardInterrupt), scratch(PREFIX) as folder:
        (folder / "a" / "b").mkdir(parents=True)
    assert list(temporary.iterdir()) == []


def test_what_a_process_leaves_that_is_killed_while_it_deletes_is_deleted_by_the_next(temporary: Path) -> None:
    """Its lock goes last."""
    killed = subprocess.run([sys.executable, "-c", KILLED_WHILE_IT_DELETES])
    assert killed.returncode == -signal.SIGKILL
    assert len(list(temporary.iterdir())) == 1
    with scratch(PREFIX):
        pass
    assert list(temporary.iterdir()) == []
