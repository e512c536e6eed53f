"""The folders for logs of harnesses that share a folder of runs, wherever they run."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from booting import life_pipe

from harness.campaign.log_folders import delete_those_of_ended_harnesses, own_folder
from harness.machine.process import boot, namespaces

HARNESS = """
import sys
from pathlib import Path
from harness.campaign.log_folders import own_folder
with own_folder(Path(sys.argv[1])) as folder:
    (folder / "controller.log").touch()
    print(folder, flush=True)
    sys.stdin.read()
"""


@contextmanager
def harness(parent: Path, isolation: str) -> Iterator[Path]:
    """Another harness with its folder; it ends with its standard input."""
    with life_pipe() as life:
        argv = boot.argv(sys.executable, life, isolation, [sys.executable, "-c", HARNESS, str(parent)])
        with subprocess.Popen(
            argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, pass_fds=(life,)
        ) as process:
            assert process.stdout is not None
            yield Path(process.stdout.readline().strip())
            process.communicate()


@pytest.mark.parametrize("isolation", [boot.HOST, boot.PRIVATE])
def test_the_logs_of_a_living_harness_stay(tmp_path: Path, isolation: str):
    """Also if it runs in another process tree, where its pid says nothing here."""
    if isolation == boot.PRIVATE and not namespaces.probe().possible:
        pytest.skip("no private namespaces on this machine")
    with harness(tmp_path, isolation) as folder:
        delete_those_of_ended_harnesses(tmp_path)
        assert (folder / "controller.log").exists()
    assert list(tmp_path.iterdir()) == []


def test_the_logs_of_a_killed_harness_are_deleted(tmp_path: Path):
    """With its lock; what the harness did not make stays."""
    (tmp_path / "notes").mkdir()
    argv = [sys.executable, "-c", HARNESS, str(tmp_path)]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        folder = Path(process.stdout.readline().strip())
        process.kill()
    assert folder.exists()
    delete_those_of_ended_harnesses(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["notes"]


def test_two_harnesses_never_share_a_folder(tmp_path: Path):
    """In two process trees they may have one pid, as two have here."""
    with own_folder(tmp_path) as one:
        with own_folder(tmp_path) as other:
            assert one != other
        assert one.exists()
