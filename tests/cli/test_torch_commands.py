"""`torch install`, `list` and `remove`, and `torch:2.9.1` wherever an interpreter may stand."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import NoReturn

import pytest
from torch_installs import FakeUv, fake_uv

from harness.cli import doctor, exploring, main, running, selecting, torch_doctor
from harness.cli.again import command_line
from harness.machine.process.interpreter import examine
from harness.machine.torches import torches
from harness.play.options import RunOptions
from harness.scenario.scenario import Scenario, World
from harness.values.errors import UsageError

CELL = Scenario(Path("late.rdzv.yaml"), "A late rank joins", World(2, 10**9), steps=(), expect=())


@pytest.fixture
def uv(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeUv:
    return fake_uv(tmp_path, monkeypatch)


def test_a_version_is_installed_listed_and_removed(uv: FakeUv, capsys: pytest.CaptureFixture[str], tmp_path: Path):
    """The interpreter is on standard output, progress is not; the list has size, last use and Python."""
    assert main(["torch", "list"]) == 0
    assert capsys.readouterr().out.startswith("no version is installed; `rdzv-harness torch install")
    assert main(["torch", "install", "2.9", "--limit", "40GB"]) == 0
    said = capsys.readouterr()
    assert said.out == f"{tmp_path}/torches/python3.11/2.9.1/bin/python\n"
    assert said.err.startswith("installing torch 2.9.1 into ")
    assert main(["torch", "list"]) == 0
    _, row, total = capsys.readouterr().out.splitlines()
    assert row.split()[:3:2] == ["2.9.1", "MB"]
    assert "{}.{}.{}".format(*sys.version_info[:3]) in row.split()
    assert total.startswith("all together 0.")
    assert main(["torch", "list", "--available"]) == 0
    assert capsys.readouterr().out.split("\n")[3:5] == ["2.9.0", "2.9.1  installed"]
    assert main(["torch", "remove", "2.9.1"]) == 0
    assert capsys.readouterr().out == "removed torch 2.9.1\n"
    assert torches.installed() == ()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["torch", "install", "2.9.1", "--limit", "40"], "--limit 40: '40' is not a size with a unit; write 40GB"),
        (["torch", "remove", "2.9.1"], "torch 2.9.1 is not installed; no version is installed"),
        (["run", "--python", "torch:nine"], "torch nine: this is no version"),
        (["explore", "--python", "torch:2.5"], "torch 2.5: 2.6 is the oldest that works"),
        (["doctor", "--python", "torch:2.9.7"], "torch 2.9.7: there is no such release; did you mean 2.9.1?"),
    ],
)
def test_what_cannot_be_is_an_error_of_usage(
    uv: FakeUv, capsys: pytest.CaptureFixture[str], words: list[str], said: str
):
    """A limit, a version; each with what to do, and nothing is installed."""
    assert main(["--no-config", *words]) == 2
    assert capsys.readouterr().err.startswith(f"error: {said}")
    assert "venv" not in uv.log()


@pytest.fixture
def examined(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The interpreters that `doctor` was given."""
    given: list[str] = []

    def report(python: str, require: object) -> int:
        given.append(python)
        return 0

    monkeypatch.setattr(doctor, "report", report)
    monkeypatch.setattr(torch_doctor, "report_interpreter", lambda python, record: 0)
    return given


def test_a_version_stands_where_an_interpreter_may_stand(uv: FakeUv, examined: list[str]):
    """It is installed, and what is played runs under it: `doctor`, `run`, `explore`."""
    assert main(["--no-config", "doctor", "--python", "torch:2.9.1"]) == 0
    (python,) = examined
    assert examine(Path(python)).torch == "2.9.1"
    seen: list[str] = []

    def seen_only(options: RunOptions) -> NoReturn:
        seen.append(options.python)
        raise UsageError("that is all")

    options = selecting.checked(RunOptions(python="torch:2.9.1"))
    with pytest.raises(UsageError, match="that is all"):
        running.run(running.Request((Path("builtin:timeouts"),)), options, make_runner=seen_only)
    request = exploring.Request(None, 10, Path("corpus"), Path("findings"))
    with pytest.raises(UsageError, match="that is all"):
        exploring.explore(request, options, make_parts=lambda request, options: seen_only(options))
    assert seen == [python, python]
    assert uv.log().count("pip install") == 1


def test_nothing_is_installed_before_something_is_selected(uv: FakeUv):
    """A mistyped name costs no download."""
    words = ["run", "builtin:timeouts", "-k", "no-such-scenario", "--python", "torch:2.9.1"]
    assert main(["--no-config", *words]) == 5
    assert uv.log() == []


def test_the_line_that_plays_again_names_the_version(uv: FakeUv):
    """It works on other machines too."""
    options = replace(RunOptions(), python=selecting.with_torch("torch:2.9.1"))
    assert options.python.endswith("/2.9.1/bin/python")
    assert command_line(options, CELL, 7) == "rdzv-harness run late.rdzv.yaml --python torch:2.9.1 --seed 7"


def test_a_file_of_defaults_may_name_a_version(
    uv: FakeUv, examined: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """It is read as a version also where the file lies in another folder; a wrong one has its line and column."""
    (tmp_path / "below").mkdir()
    monkeypatch.chdir(tmp_path / "below")
    (tmp_path / "pyproject.toml").write_text('[tool.rdzv-harness]\npython = "torch:2.9.1"\n')
    assert main(["doctor"]) == 0
    assert examined == [f"{tmp_path}/torches/python3.11/2.9.1/bin/python"]


def test_a_wrong_version_in_a_file_of_defaults_has_its_place(
    uv: FakeUv, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    """With what may stand there, before anything is played."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "pyproject.toml").write_text('[tool.rdzv-harness]\npython = "torch:nine"\n')
    assert main(["run"]) == 2
    said = capsys.readouterr().err
    assert "pyproject.toml:2:1: " in said
    assert "this is no version; write it as 2.9.1" in said
