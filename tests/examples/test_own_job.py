"""The example of a job under torchrun: its files load, and at night they are played as its page says."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from harness.loader import load_text

FOLDER = Path(__file__).parents[2] / "examples" / "own_job"
FILES = sorted(FOLDER.glob("*.rdzv.yaml"))
WITHIN_S = 600


def test_the_folder_has_scenarios() -> None:
    """One for each thing that is broken."""
    assert len(FILES) == 3


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_a_scenario_of_the_example_loads_and_starts_the_example_on_each_node(path: Path) -> None:
    """As a file whose workload is a job; the program that its words name is in the folder, and the page has a row."""
    (cell,) = load_text(path.read_text(encoding="utf-8"), path)
    assert cell.job is not None
    assert cell.job.argv[0] == "torchrun"
    assert (FOLDER / cell.job.argv[-1]).is_file()
    assert {"{rank}", "{world_size}", "{master_addr}", "{master_port}"} <= set(cell.job.argv)
    assert f"]({path.name})" in (FOLDER / "README.md").read_text(encoding="utf-8")


@pytest.mark.nightly
@pytest.mark.needs_torch
def test_the_example_is_played_as_its_page_says(tmp_path: Path, rank_python: str) -> None:
    """All of its scenarios pass with the torchrun beside the interpreter of the ranks."""
    path = os.pathsep.join([str(Path(rank_python).parent), os.environ["PATH"]])
    words = ["run", ".", "--subject", "command", "--python", rank_python, "--runs-dir", str(tmp_path / "runs")]
    done = subprocess.run(
        [sys.executable, "-m", "harness.cli", *words, "--fail-on-skip"],
        cwd=FOLDER,
        env={**os.environ, "PATH": path, "PYTHONPATH": str(FOLDER.parents[1])},
        capture_output=True,
        text=True,
        timeout=WITHIN_S,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{len(FILES)} passed" in done.stdout
