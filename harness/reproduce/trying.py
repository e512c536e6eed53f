"""Running a script: how often it fails as found, where, and what it prints."""

from __future__ import annotations

import os
import signal
import subprocess
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.reproduce.script import Seen
from harness.values.errors import HarnessError

AS_EXPECTED, AS_FOUND, UNDECIDED = 0, 1, 2
"""The exit statuses of a script."""

LONGEST_S = 300
"""A run that takes longer is stuck: the script ends its calls by their guards, which are seconds."""

_BROKEN = "BROKEN "


@dataclass(frozen=True)
class Run:
    """One run of a script."""

    status: int
    output: str


def runs_of(script: Path, python: str, count: int) -> list[Run]:
    """Run a script so many times, one after another; raises HarnessError for an interpreter that cannot be run."""
    return [_run(script, python) for _ in range(count)]


def _run(script: Path, python: str) -> Run:
    try:
        # Its own group: if it is stuck or this process is interrupted, its ranks must end with it, frozen ones too.
        process = subprocess.Popen(
            [python, str(script)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    except OSError as error:
        raise HarnessError(f"{python} cannot be run ({error.strerror}); give --python an interpreter") from error
    try:
        output, _ = process.communicate(timeout=LONGEST_S)
    except BaseException as error:
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        if not isinstance(error, subprocess.TimeoutExpired):
            raise
        raise HarnessError(f"{script} did not end within {LONGEST_S} s; run it alone to see where it waits") from error
    return Run(process.returncode, output.decode(errors="replace"))


def seen_in(runs: Sequence[Run]) -> Seen:
    """What these runs have shown."""
    failed = [run for run in runs if run.status == AS_FOUND]
    shown = (failed or list(runs))[0].output.splitlines()
    where = next((line for line in shown if line.startswith("torch ")), "")
    broken = tuple(line.removeprefix(_BROKEN) for line in shown if line.startswith(_BROKEN)) if failed else ()
    return Seen(len(failed), len(runs), where, broken)


def others(runs: Sequence[Run]) -> str:
    """What the runs did that did not fail as found: `2 as expected, 1 undecided`; empty if there are none."""
    names = {AS_EXPECTED: "as expected", UNDECIDED: "undecided"}
    counts = Counter(names.get(run.status, f"exit status {run.status}") for run in runs if run.status != AS_FOUND)
    return ", ".join(f"{count} {name}" for name, count in counts.items())
