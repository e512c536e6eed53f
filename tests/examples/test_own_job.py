"""The example of a job under torchrun: its files load, it is copied, and at night a copy is played as its page says."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from harness.cli import main
from harness.loader import load, load_text

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "examples" / "own_job"
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
    assert cell.job.argv[:3] == ("{python}", "-m", "torch.distributed.run")
    assert (FOLDER / cell.job.argv[-1]).is_file()
    assert {"{rank}", "{world_size}", "{master_addr}", "{master_port}"} <= set(cell.job.argv)
    assert f"]({path.name})" in (FOLDER / "README.md").read_text(encoding="utf-8")


def test_a_copy_has_everything_and_leads_to_nothing_that_it_has_not(tmp_path: Path) -> None:
    """The program as it is; scenarios that load, and say where they come from; a page whose links are absolute."""
    assert main(["new", "--example", "own_job", "copy", "--dir", str(tmp_path)]) == 0
    copy = tmp_path / "copy"
    assert {path.name for path in copy.iterdir()} == {path.name for path in FOLDER.iterdir() if path.is_file()}
    assert (copy / "train.py").read_bytes() == (FOLDER / "train.py").read_bytes()
    for path in FILES:
        head, origin, *rest = (copy / path.name).read_text(encoding="utf-8").splitlines(keepends=True)
        assert head.startswith("# yaml-language-server: $schema=https://")
        assert origin.startswith("# From the example own_job of rdzv-harness ")
        assert "".join(rest) == path.read_text(encoding="utf-8")
        assert [cell.title for cell in load(copy / path.name)] == [cell.title for cell in load(path)]
    page = (copy / "README.md").read_text(encoding="utf-8")
    links = re.findall(r"\]\(([^)]+)\)", page)
    assert [link for link in links if not (link.startswith("https://") or (copy / link).is_file())] == []
    assert [link for link in links if link.startswith("https://")] != []
    assert "<!--" not in page


def test_a_folder_that_is_there_is_not_written_into(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Whatever is in it stays."""
    (tmp_path / "copy").mkdir()
    assert main(["new", "--example", "own_job", "copy", "--dir", str(tmp_path)]) == 2
    assert "choose another name" in capsys.readouterr().err
    assert list((tmp_path / "copy").iterdir()) == []


@pytest.mark.nightly
@pytest.mark.needs_torch
def test_the_example_is_played_as_its_page_says(tmp_path: Path, rank_python: str) -> None:
    """All scenarios of a copy pass with the torchrun of the ranks' interpreter, and none on PATH."""
    places = os.environ["PATH"].split(os.pathsep)
    without = os.pathsep.join(place for place in places if not (Path(place) / "torchrun").exists())
    environment = {**os.environ, "PATH": without, "PYTHONPATH": str(ROOT)}

    def harness(folder: Path, *words: str) -> str:
        done = subprocess.run(
            [sys.executable, "-m", "harness.cli", *words],
            cwd=folder, env=environment, capture_output=True, text=True, timeout=WITHIN_S,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    harness(tmp_path, "new", "--example", "own_job", "copy")
    runs = ["--runs-dir", str(tmp_path / "runs"), "--fail-on-skip"]
    printed = harness(tmp_path / "copy", "run", ".", "--subject", "command", "--python", rank_python, *runs)
    assert f"{len(FILES)} passed" in printed
