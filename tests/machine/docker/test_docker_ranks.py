"""The container of a rank that is just ending: Docker refuses changes, and none is needed."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from harness.machine.docker import ranks as container_ranks
from harness.machine.docker.mounts import NOBODY
from harness.machine.docker.ranks import ContainerProcess, SharedRunDir
from harness.values.errors import HarnessError


@pytest.fixture
def process() -> Iterator[subprocess.Popen[bytes]]:
    """A process in place of the rank's; once ended, it stays in /proc until the fixture waits for it."""
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as started:
        yield started
        started.kill()


class RefusingClient:
    """A client of a Docker that learns of the end, which `act` causes, before /proc shows it."""

    def __init__(self, act: Callable[[], Any]) -> None:
        self._act = act

    def limit_processor(self, container: str, quota_us: int, period_us: int) -> None:
        self._act()
        raise HarnessError("cannot update a container that is not running")

    def throttled_ns(self, container: str) -> int:
        self._act()
        return 0


def contained(process: subprocess.Popen[bytes], act: Callable[[], Any], folder: Path) -> ContainerProcess:
    """A container in which that process runs."""
    return ContainerProcess(RefusingClient(act), "0123456789ab", process.pid, folder / "log", "python")  # type: ignore[arg-type]


def test_a_rank_that_is_just_ending_needs_no_healing(process: subprocess.Popen[bytes], tmp_path: Path) -> None:
    """It is still in /proc for a moment, and longer as a zombie."""
    ending = contained(process, process.kill, tmp_path)
    ending.limit_processor(1000, 1_000_000)
    ending.unlimit_processor()
    assert not ending.is_throttled


def test_a_rank_that_lives_on_must_be_healed(
    process: subprocess.Popen[bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Then the refusal is an error."""
    monkeypatch.setattr(container_ranks, "ENDS_WITHIN_NS", 1_000_000)
    living = contained(process, lambda: None, tmp_path)
    with pytest.raises(HarnessError, match="cannot update"):
        living.unlimit_processor()


def test_the_throttled_time_of_a_rank_that_has_ended_is_unknown(
    process: subprocess.Popen[bytes], tmp_path: Path
) -> None:
    """Docker reports zero, which is correct only for a living one."""
    living = contained(process, lambda: None, tmp_path)
    assert living.throttled_ns() == 0
    process.kill()
    process.wait()
    assert living.throttled_ns() is None


_MAKES_AND_TAKES = """
import os, sys
os.setgroups([]); os.setgid(65534); os.setuid(65534); os.chdir(sys.argv[1])
def done(act, *words):
    try:
        act(*words)
    except PermissionError:
        return False
    return True
print(done(os.mkdir, "model"), done(os.unlink, "plan.json"))
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="only root makes run directories whose ranks are another user")
@pytest.mark.parametrize("writable", [True, False])
def test_a_job_makes_files_in_its_run_directory_and_takes_none_away(writable: bool, tmp_path: Path) -> None:
    """As the user of containers; a rank that is no job of one's own makes none."""
    for folder in (tmp_path, *tmp_path.parents):
        if not folder.stat().st_mode & 0o001:
            folder.chmod(folder.stat().st_mode | 0o011)
    run_dir = tmp_path / "run"
    run_dir.mkdir(mode=0o755)
    (run_dir / "plan.json").touch()
    with contextlib.closing(SharedRunDir(run_dir, NOBODY, writable)):
        command = [sys.executable, "-c", _MAKES_AND_TAKES, str(run_dir)]
        ran = subprocess.run(command, capture_output=True, text=True, check=True)
    assert ran.stdout.split() == [str(writable), "False"]
