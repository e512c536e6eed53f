"""One campaign in a folder: its driver as a process, its ledger and its report, for tests that kill processes of it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil

from harness import clock

PATIENCE_S = 400
TEXT = """\
schema: rdzv-scenario/v1
title: Two ranks join
world: {size: 2, timeout: 5s}
workload:
  - {id: join, do: rendezvous}
expect:
  - {id: all-join, step: join, is: ok}
"""
JOB = """\
schema: rdzv-scenario/v1
title: A job ends
world: {size: 1}
job: {}
expect:
  - {step: exit, code: 0}
"""
POISON = """\
import os, signal, sys
# On the host: up to the worker of Dask, which is killed.
pid = os.getppid()
while pid > 1:
    words = open(f"/proc/{pid}/cmdline", "rb").read()
    if b"multiprocessing" in words:
        os.kill(pid, signal.SIGKILL)
        break
    pid = int(open(f"/proc/{pid}/stat").read().rpartition(")")[2].split()[1])
"""


class Campaign:
    """A driver in a process of its own; its ledger, report and temporary files are in one folder.

    Args:
        words: of the command line behind `run`; paths are below the folder.
        cluster: the address behind `--cluster`.
        job: the command behind `--`.
        program: what reads the words.
    """

    def __init__(
        self,
        folder: Path,
        cluster: str,
        words: tuple[str, ...],
        job: tuple[str, ...] = (),
        program: tuple[str, ...] = ("-m", "harness.cli"),
    ) -> None:
        self.folder, self._words = folder, (*words, "--cluster", cluster)
        self._job, self._program = job, program
        self.ledger, self.report, self.log = folder / "ledger.jsonl", folder / "report.json", folder / "log"
        self.driver: subprocess.Popen[bytes] | None = None

    def start(self) -> psutil.Process:
        """Start the driver."""
        files = ["--ledger", self.ledger.name, "--json", self.report.name]
        command = [sys.executable, *self._program, "--no-config", "run", *self._words, *files, "--jobs", "2"]
        with open(self.log, "ab") as log:
            self.driver = subprocess.Popen(
                [*command, *(["--", *self._job] if self._job else [])],
                cwd=self.folder,
                stdout=log,
                stderr=log,
                env={**os.environ, "TMPDIR": str(self.folder)},
            )
        return psutil.Process(self.driver.pid)

    def wait(self) -> int:
        assert self.driver is not None
        return self.driver.wait(PATIENCE_S)

    def said(self) -> str:
        """What the driver has printed."""
        return self.log.read_text()

    def recorded(self) -> list[str]:
        """The plays of the ledger, in order."""
        lines = self.ledger.read_text().splitlines(keepends=True)[1:] if self.ledger.exists() else []
        return [json.loads(line)["play"] for line in lines if line.endswith("\n")]

    def rows(self) -> list[Any]:
        """The rows of the report."""
        rows: list[Any] = json.loads(self.report.read_text())["results"]
        return rows

    def until(self, seen: Callable[[], Any]) -> None:
        """Wait for something that becomes true while the driver lives."""
        deadline_ns = clock.now_ns() + PATIENCE_S * 10**9
        while not seen():
            assert clock.now_ns() < deadline_ns, self.said()[-2000:]
            assert self.driver is not None
            assert self.driver.poll() is None, self.said()[-2000:]
            try:
                self.driver.wait(0.05)
            except subprocess.TimeoutExpired:
                continue

    def check(self, plays: int) -> list[Any]:
        """Each play once, in the ledger and in the report; returns the rows of the report."""
        recorded = self.recorded()
        assert len(recorded) == len(set(recorded)) == plays
        rows = self.rows()
        assert len({(row["id"], row["attempt"]) for row in rows}) == len(rows) == plays
        return rows


def workers(nanny: psutil.Process) -> list[psutil.Process]:
    """The workers of Dask that a process with nannies has started."""
    return [one for one in nanny.children() if any("spawn_main" in word for word in _words(one))]


def _words(process: psutil.Process) -> list[str]:
    """Its command line; none if it has ended meanwhile."""
    try:
        return list(process.cmdline())
    except psutil.Error:
        return []
