"""`doctor --torch VERSION`, and `doctor --python PATH` behind its checks: pages from a record, and each error."""

from __future__ import annotations

import io
import sys
from pathlib import Path

import pytest
from record_parts import five, scenario

from harness.cli import doctor, main, streams, torch_doctor
from harness.cli.doctor import Check
from harness.cli.known_values import recorded_torches
from harness.machine.process import interpreter
from harness.machine.process.interpreter import InterpreterInfo
from harness.record import folder
from harness.record.document import Results


@pytest.fixture(autouse=True)
def record(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two torches and one cell, in place of the record and the scenarios that ship with the harness."""
    where = tmp_path / "record"
    for torch, broken in (("2.8.0+cpu", 5), ("2.9.0+cpu", 0)):
        folder.save(where, five(torch, broken))
    monkeypatch.setattr(folder, "OWN", where)
    monkeypatch.setattr(torch_doctor, "load_scenarios", lambda paths: [scenario()])
    monkeypatch.chdir(tmp_path)
    return where


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """One check, and an interpreter with a torch from a checkout, unless its path names another."""
    monkeypatch.setattr(doctor, "examinations", lambda python: [("torch", lambda: Check("torch", True, python))])
    torches = {"/none": None, "/old": "2.5.0"}

    def examine(python: Path) -> InterpreterInfo:
        torch = torches.get(str(python), "2.9.0a0+git1a2b3c4")
        return InterpreterInfo(python, "3.11.1", torch, problem="" if torch == "2.9.0a0+git1a2b3c4" else "a problem")

    monkeypatch.setattr(interpreter, "examine", examine)


def test_a_torch_of_the_record_is_a_page(capsys: pytest.CaptureFixture[str]) -> None:
    """From the record that ships with the harness; nothing on this machine is examined."""
    assert main(["--no-config", "doctor", "--torch", "2.8"]) == 0
    said = capsys.readouterr()
    assert said.out.startswith("torch 2.8: what the record that ships with rdzv-harness knows of it\n")
    assert "  ✗ F02  A silent peer is waited for without a deadline\n      broken in 5 of 5 plays\n" in said.out
    assert "upgrade: torch 2.9.0 does not have it" in said.out
    assert "namespaces" not in said.out
    assert said.err == ""


def test_another_record_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """And stands in the lines that record this torch and show it again."""
    folder.save(tmp_path / "mine too", five("2.10.0", 5))
    assert main(["--no-config", "doctor", "--torch", "2.9.0", "--record", "mine too"]) == 0
    said = capsys.readouterr().out
    assert said.startswith("torch 2.9.0: the record in mine too does not hold it\n")
    assert "  rdzv-harness record run --torch 2.9.0 --record 'mine too'\n" in said
    assert "  rdzv-harness doctor --torch 2.9.0 --record 'mine too'\n" in said


@pytest.mark.parametrize(
    ("version", "which"),
    [
        ("2.7.1+cu126", "--torch 2.7.1"),
        ("2.7.1.post2", "--torch 2.7.1"),
        ("2.7", "--torch 2.7"),
        ("2.11.0a0+git123", "--python PATH"),
        ("2.11.0.dev20260101+cpu", "--python PATH"),
    ],
)
def test_the_command_that_records_a_torch_can_install_it(
    version: str, which: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """A build of one's own is played where it is."""
    assert main(["--no-config", "doctor", "--torch", version]) == 0
    assert f"  rdzv-harness record run {which} --record .rdzv/record\n" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--torch", "nine"], "torch 'nine': this is no version; write it as 2.9.1"),
        (["--torch", "2.9.O"], "torch '2.9.O': this is no version; did you mean 2.9.0?"),
        (["--torch", "2.5.1"], "torch 2.5.1: 2.6 is the oldest that works"),
        (["--torch", "2.8", "--record", "gone"], "gone: there is no result file of a track record"),
        (["--torch", "2.8", "--record", "bad"], "bad/static/x.json: not JSON"),
        (["--torch", "2.8", "--python", "/x"], "--torch is answered from a record"),
        (["--torch", "2.8", "--require", "go"], "--torch is answered from a record"),
    ],
)
def test_each_mistake_is_an_error_of_usage(
    words: list[str], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """With what to do, and before a scenario is read."""
    (tmp_path / "bad" / "static").mkdir(parents=True)
    (tmp_path / "bad" / "static" / "x.json").write_text("{")
    assert main(["--no-config", "doctor", *words]) == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err.startswith(f"error: {said}")
    assert "Traceback" not in shown.err


def test_plays_of_another_text_of_a_scenario_are_not_counted(record: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """And that is said, of the torch in question only."""
    file = folder.path_of(record, "2.8.0+cpu", "static")
    held = folder.load(file)
    cells = {name: {"000000000000": plays} for name, texts in held.cells.items() for plays in texts.values()}
    file.write_text(folder.canonical(Results(torch=held.torch, subject="static", cells=cells)))
    assert main(["--no-config", "doctor", "--torch", "2.8"]) == 0
    said = capsys.readouterr()
    assert "static, torch 2.8.0+cpu: ignored, their scenarios have changed since" in said.err
    assert "Untested, so nothing is known of: F02 F12\n" in said.out
    assert main(["--no-config", "doctor", "--torch", "2.9"]) == 0
    assert capsys.readouterr().err == ""


@pytest.mark.usefixtures("machine")
def test_an_interpreter_gets_its_checks_and_then_its_page(capsys: pytest.CaptureFixture[str]) -> None:
    """By its own version, and the command that records it names it."""
    assert main(["--no-config", "doctor", "--python", "/mine"]) == 0
    said = capsys.readouterr().out
    assert said.startswith("✓ torch  /mine\n\ntorch 2.9.0a0+git1a2b3c4: the record that ships with")
    assert "the nearest that it holds: torch 2.8.0 before it and torch 2.9.0 after it" in said
    assert "  rdzv-harness record run --python /mine --record .rdzv/record\n" in said


@pytest.mark.usefixtures("machine")
@pytest.mark.parametrize(
    "words",
    [[], ["--python", "/none"], ["--python", "/old"], ["--python", "/mine", "--require", "torch"]],
    ids=" ".join,
)
def test_without_a_torch_that_works_or_for_a_pipeline_there_are_checks_only(
    words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    """`--require` decides an exit code; nobody reads a page there."""
    assert main(["--no-config", "doctor", *words]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 1


@pytest.mark.usefixtures("machine")
def test_the_interpreter_of_a_file_of_defaults_gets_its_page(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """It is the torch that a project uses; beside --torch it is only a default."""
    (tmp_path / "pyproject.toml").write_text('[tool.rdzv-harness]\npython = "/mine"\n')
    assert main(["doctor"]) == 0
    assert "\ntorch 2.9.0a0+git1a2b3c4: " in capsys.readouterr().out
    assert main(["doctor", "--torch", "2.8"]) == 0
    assert capsys.readouterr().out.startswith("torch 2.8: ")


def test_the_signs_stay_apart_in_ascii(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each has its own substitute, and nothing else of the page needs one."""
    raw = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(raw, encoding="ascii"))
    streams.prepare()
    torch_doctor.report("2.8.0", None)
    torch_doctor.report("2.8.1", None)
    sys.stdout.flush()
    text = raw.getvalue().decode("ascii")
    assert "  x F02  " in text
    assert "  ? F02  " in text
    assert text.count("?") == 2


def test_completion_knows_the_releases_of_the_record() -> None:
    """By the names of the files of the one that ships."""
    assert {"2.6.0", "2.15.0"} <= set(recorded_torches())
