"""Standard streams that are closed, full, or without a reader: what can be reported is, and the exit code shows it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from joining import ROOT, SCENARIO

WRITES = {">&-": 3, ">/dev/full": 3, ">/dev/full 2>&1": 3, ">&- 2>&-": 3, "<&- >&- 2>&-": 3}
STILL_READ = {"2>&-": 0, "2>/dev/full": 0, "<&-": 0}
COMMANDS = ("--help", *(pytest.param(name, marks=pytest.mark.nightly) for name in ("schema", "list")))


def shell(words: str, how: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run a command with these redirections."""
    line = f'"$0" -m harness.cli {words} {how}'
    argv = ["bash", "-c", line, sys.executable]
    return subprocess.run(
        argv, cwd=folder, env={"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin"}, capture_output=True, text=True,
        timeout=120,
    )  # fmt: skip


@pytest.mark.parametrize("command", COMMANDS)
def test_output_that_is_lost_is_an_error(tmp_path: Path, command: str) -> None:
    """Closed, or a full disk: exit code 3 and a sentence, if that can be said; with nothing lost, 0."""
    for how, code in {**WRITES, **STILL_READ}.items():
        done = shell(command, how, tmp_path)
        assert done.returncode == code, (how, done.stderr)
        assert "Traceback" not in done.stderr
        assert "is a bug" not in done.stderr
        if "2>" not in how:
            assert ("cannot write to standard output" in done.stderr) == (code == 3), how


@pytest.mark.parametrize(("how", "code"), [*WRITES.items(), *STILL_READ.items(), ("| true", 141)])
def test_a_run_whose_output_is_lost_still_writes_its_reports(tmp_path: Path, how: str, code: int) -> None:
    """JSON and JUnit have the result."""
    (tmp_path / "join.rdzv.yaml").write_text(SCENARIO)
    words = "run join.rdzv.yaml --subject echo --jobs 1 --runs-dir runs --json r.json --junit r.xml"
    done = shell(words, f"{how}; exit ${{PIPESTATUS[0]}}", tmp_path)
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr
    assert json.loads((tmp_path / "r.json").read_text())["meta"]["counts"]["passed"] == 1
    assert 'tests="1"' in (tmp_path / "r.xml").read_text()


def test_a_current_folder_that_is_gone_is_said(tmp_path: Path) -> None:
    """It may be an error of any command; there is no traceback."""
    (tmp_path / "gone").mkdir()
    argv = ["bash", "-c", 'cd gone && rmdir ../gone && "$0" -m harness.cli run x.rdzv.yaml', sys.executable]
    done = subprocess.run(
        argv, cwd=tmp_path, env={"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin"}, capture_output=True, text=True,
        timeout=60,
    )  # fmt: skip
    assert done.returncode in (2, 3), done.stderr
    assert "Traceback" not in done.stderr
    assert "is a bug" not in done.stderr
