"""A machine with the fake `uv` (fake_uv.py) on PATH, and a folder for versions of torch."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

RELEASES = "2.5.1 2.6.0 2.7.0 2.7.1 2.9.0 2.9.1 2.10.0"


@dataclass(frozen=True)
class FakeUv:
    """The folder that the fake program reads."""

    control: Path

    def write(self, name: str, text: str) -> None:
        (self.control / name).write_text(text)

    def forget(self, name: str) -> None:
        (self.control / name).unlink()

    def log(self) -> list[str]:
        """The commands so far, each by its first two words."""
        path = self.control / "log"
        lines = path.read_text().splitlines() if path.exists() else []
        return [" ".join(line.split()[:2]) if line.startswith("pip") else line.split()[0] for line in lines]

    def reached(self) -> str:
        """Wait until it is at the step that it is to stop at."""
        with open(self.control / "reached") as pipe:
            return pipe.read().strip()

    def begin(self, statement: str) -> subprocess.Popen[str]:
        """Run a statement of `torches` in another process; what it says is there at once, whatever the environment."""
        program = f"from harness.machine.torches import torches; {statement}"
        return subprocess.Popen([sys.executable, "-u", "-c", program], stdout=subprocess.PIPE, text=True)


def fake_uv(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeUv:
    """The fake program, first on PATH; RDZV_TORCHES is a folder of the test."""
    programs, control = tmp_path / "programs", tmp_path / "control"
    programs.mkdir()
    control.mkdir()
    source = (Path(__file__).parent / "fake_uv.py").read_text()
    (programs / "uv").write_text(f"#!{os.path.realpath(sys.executable)} -IS\n{source}")
    (programs / "uv").chmod(0o755)
    (control / "releases").write_text(RELEASES)
    os.mkfifo(control / "reached")
    os.mkfifo(control / "never")
    monkeypatch.setenv("PATH", f"{programs}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("FAKE_UV", str(control))
    monkeypatch.setenv("RDZV_TORCHES", str(tmp_path / "torches"))
    return FakeUv(control)
