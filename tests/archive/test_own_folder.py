"""The folder `.rdzv` ignores itself in git from the moment that it is made."""

from __future__ import annotations

from pathlib import Path

from everybody_joins import ONE_CELL

from harness.archive import RunDirs, create_run
from harness.archive.own_folder import make
from harness.loader import load_text


def test_the_folder_of_runs_is_made_with_a_gitignore(tmp_path: Path) -> None:
    """By the first that makes `.rdzv`; everything below it is ignored, the file included."""
    RunDirs(tmp_path / "a" / ".rdzv" / "runs", 1).hold()
    (scenario,) = load_text(ONE_CELL, Path("x.rdzv.yaml"))
    create_run(tmp_path / "b" / ".rdzv" / "runs", scenario, {})
    for name in ("a", "b"):
        assert (tmp_path / name / ".rdzv" / ".gitignore").read_text().splitlines()[-1] == "*"


def test_a_folder_of_ones_own_name_and_one_that_was_there_get_none(tmp_path: Path) -> None:
    """Nothing is written into folders of the user, or again after the user deleted it."""
    (tmp_path / ".rdzv").mkdir()
    make(tmp_path / ".rdzv" / "runs")
    make(tmp_path / "mine" / "runs")
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == []
