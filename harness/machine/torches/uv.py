"""Runs the program `uv`, which finds and installs packages; it ends when this process ends."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.machine.process.namespaces import end_with_parent
from harness.machine.torches.index_settings import IndexSettings, settings_for_uv
from harness.values.errors import HarnessError, UsageError
from harness.values.refusals import cannot, with_advice

PYTHON = "3.11"
"""Of all environments, so that torch is the only thing that differs; every torch from 2.6 to 2.15 has wheels for it."""

HOW_TO_GET_IT = "install it: python -m pip install uv"
_NO_SOLUTION = 1


class NoUv(UsageError):
    """There is no program `uv` here."""


class UvFailed(HarnessError):
    """uv could not do what it was asked to; the message has its own words."""


class NoFit(Exception):
    """No release fits what was asked for; the text is uv's reason."""


def find() -> str:
    """The program: on PATH, or beside this interpreter, where pip puts it; raises NoUv with the remedy."""
    beside = Path(sys.executable).parent / "uv"
    found = shutil.which("uv") or (str(beside) if os.access(beside, os.X_OK) else None)
    if found is None:
        raise NoUv(f"versions of torch are installed by the program uv, which is not on PATH; {HOW_TO_GET_IT}")
    return found


@dataclass(frozen=True)
class Uv:
    """uv with its cache.

    Attributes:
        program: its path.
        cache: its cache; on the file system of the environments, so that they share files with it by hard links.
    """

    program: str
    cache: Path

    def run(self, words: Sequence[str], given: str = "", held: Sequence[int] = ()) -> str:
        """Run one command, and return what it prints.

        Args:
            given: its standard input.
            held: descriptors of locks that it holds too, so that they stay locked until it has ended.

        Raises NoFit if no release fits, UvFailed for anything else that goes wrong.
        """
        settings = settings_for_uv(os.environ) if words[0] == "pip" else IndexSettings()
        command = [self.program, *words[:2], *settings.words, *words[2:]]
        try:
            done = subprocess.run(
                command,
                input=given,
                capture_output=True,
                text=True,
                env=self._environment(settings),
                pass_fds=held,
                preexec_fn=end_with_parent,  # killed in the middle, nothing goes on
            )
        except OSError as error:
            raise cannot(f"run {self.program}", error, HOW_TO_GET_IT) from error
        if done.returncode == _NO_SOLUTION and "No solution found" in done.stderr:
            raise NoFit(_reason(done.stderr))
        if done.returncode:
            said = _reason(done.stderr) or f"exit code {done.returncode}"
            command_name = " ".join(word for word in words[:2] if not word.startswith("-"))
            raise UvFailed(with_advice(f"`uv {command_name}` failed: {said}"))
        return done.stdout

    def _environment(self, settings: IndexSettings) -> dict[str, str]:
        ours = {"UV_CACHE_DIR": str(self.cache), "UV_LINK_MODE": "hardlink", "UV_NO_PROGRESS": "1"}
        return {**os.environ, **(settings.variables or {}), **ours}


def _reason(said: str) -> str:
    """What uv prints of an error, on one line and without its marks."""
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    first = next((number for number, line in enumerate(lines) if line.startswith("error: ")), 0)
    return " ".join(lines[first:]).removeprefix("error: ")[:1000]
