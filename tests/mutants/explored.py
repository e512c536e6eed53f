"""Explores a subject with the command, as a user does, and reads what was found."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from harness.explore.finding import StoredFinding
from harness.explore.findings import MINIMAL, Findings

UNTIL_FIND = ("--until-find",)
"""The option that ends a session at its first confirmed finding."""


@dataclass(frozen=True)
class Explored:
    """One call of `explore`.

    Attributes:
        code: the exit code.
        said: all that was printed.
        findings: those that are stored, also by earlier calls, by the paths of their minimal scenarios.
    """

    code: int
    said: str
    findings: dict[Path, StoredFinding]

    @property
    def checks(self) -> frozenset[str]:
        """What the findings violate."""
        return frozenset(one.signature.check for one in self.findings.values())


def explore(subject: str, folder: Path, python: str, *words: str) -> Explored:
    """Call `explore`, with a corpus, findings and runs in a folder, and further words of the command line."""
    command = [sys.executable, "-m", "harness.cli", "explore", "--subject", subject, "--python", python]
    command += ["--toxiproxy", "embedded", "--quiet", *words]
    for name in ("corpus", "findings", "runs-dir"):
        command += [f"--{name}", str(folder / name)]
    done = subprocess.run(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
    )
    stored = Findings(folder / "findings")
    found = {stored.path(name) / MINIMAL: stored.read(name) for name in stored.names()}
    return Explored(done.returncode, done.stdout, found)
