"""Limits that are too small, and folders that cannot be used: a sentence, an exit code, and nothing left."""

from __future__ import annotations

import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest
import small_disks
from joining import ROOT, SCENARIO

USER = 54321
"""Nobody has this number, so its processes are those of the test."""


def argv(folder: Path, *words: str) -> list[str]:
    (folder / "join.rdzv.yaml").write_text(SCENARIO)
    command = [sys.executable, "-m", "harness.cli", "run", str(folder / "join.rdzv.yaml"), "--subject", "echo"]
    return [*command, "--jobs", "1", *words]


def run(folder: Path, *words: str, before: Callable[[], object] | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        argv(folder, *words), cwd=folder, env={**os.environ, "PYTHONPATH": str(ROOT)}, preexec_fn=before,
        capture_output=True, text=True, timeout=120,
    )  # fmt: skip


def check(done: subprocess.CompletedProcess[str], code: int, advice: str) -> None:
    said = done.stdout + done.stderr
    assert done.returncode == code, said
    assert advice in said
    assert "Traceback" not in said
    assert "is a bug" not in said


@pytest.mark.parametrize("files", [6, 12, *(pytest.param(files, marks=pytest.mark.nightly) for files in (8, 10))])
def test_too_few_descriptors(tmp_path: Path, files: int) -> None:
    """The error names the limit, whichever process meets it first."""
    check(run(tmp_path, before=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (files, files))), 3, "ulimit -n")


def test_files_that_may_not_be_large(tmp_path: Path) -> None:
    """A play whose record is cut short is an error."""
    done = run(tmp_path, before=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (1024, 1024)))
    check(done, 3, "ulimit -f")


@pytest.mark.parametrize("processes", [1, 3, 5])
def test_too_few_processes(processes: int) -> None:
    """For an ordinary user: the limit does not hold for root."""
    if os.getuid() != 0 or shutil.which("setpriv") is None:
        pytest.skip("needs root, who becomes another user")
    # Its interpreter may lie in root's own folder.
    rights = ["--clear-groups", "--inh-caps", "+dac_override", "--ambient-caps", "+dac_override"]
    become = ["setpriv", "--reuid", str(USER), "--regid", str(USER), *rights, "prlimit", f"--nproc={processes}"]
    with tempfile.TemporaryDirectory(prefix="rdzv-ordinary-") as name:
        folder = Path(name)
        folder.chmod(0o777)
        environment = {**os.environ, "PYTHONPATH": str(ROOT), "HOME": name}
        words = [*become, *argv(folder, "--isolation", "host")]
        done = subprocess.run(words, cwd=folder, env=environment, capture_output=True, text=True, timeout=120)
    check(done, 3, "ulimit -u")


def test_a_runs_folder_that_cannot_be_used_is_a_usage_error(tmp_path: Path) -> None:
    """A file in its place; on a read-only file system; nothing is played, and no report is begun."""
    (tmp_path / "file").touch()
    for runs_dir in ("file", "file/runs", "/proc/runs"):
        done = run(tmp_path, "--runs-dir", runs_dir, "--json", "new/r.json")
        check(done, 2, "choose another --runs-dir")
        assert not (tmp_path / "new").exists()
    try:
        words = argv(tmp_path, "--runs-dir", str(tmp_path / "disk" / "runs"))
        on_disk = small_disks.run(tmp_path / "disk", "size=1m,ro", words)
    except LookupError as refused:
        pytest.skip(str(refused))
    assert (on_disk.code, "choose another --runs-dir" in on_disk.err) == (2, True), on_disk.err


def _become_a_file(folder: Path) -> None:
    """Move a folder away and put a file there; the harness may make the folder again in between."""
    for number in range(1000):
        folder.rename(folder.with_name(f"moved-{number}"))
        try:
            os.close(os.open(folder, os.O_CREAT | os.O_EXCL | os.O_WRONLY))
        except FileExistsError:
            continue
        return
    raise AssertionError(f"{folder} was made again each time")


def test_a_runs_folder_that_goes_while_it_is_used(tmp_path: Path) -> None:
    """The cells so far are reported, and the run stops: its results could not be stored."""
    words = argv(tmp_path, "--runs-dir", "runs", "--repeat", "300", "--json", "r.json")
    harness = subprocess.Popen(
        words, cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(ROOT)}, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert harness.stdout is not None
    assert "passed" in harness.stdout.readline()
    _become_a_file(tmp_path / "runs")
    out, err = harness.communicate(timeout=120)
    assert harness.returncode == 3, out + err
    assert "Traceback" not in out + err
    assert "is a bug" not in out + err
    assert json.loads((tmp_path / "r.json").read_text())["meta"]["counts"]["passed"] >= 1
