"""Ctrl-C at any moment from the first line of the harness on: exit code 130, and nothing left within two seconds."""

from __future__ import annotations

import contextlib
import json
import random
import signal
import subprocess
import time
from pathlib import Path

import pytest
from harnesses import KINDS, Harness, started
from leftovers import await_so

WITHIN_S = 2.0
LATEST_S = 8.0
"""A world is whole after 2 s, on a busy machine after 8."""

BEFORE_MAIN = (-signal.SIGINT, -signal.SIGTERM, 1)
"""How the interpreter itself ends if it is interrupted before it runs the first line of the harness."""

SAMPLE = {"private": 2, "namespaces": 2}
NIGHT = {"private": 25, "host": 25, "namespaces": 25, "torchrun": 25}
STORMS = [
    *(pytest.param(kind, count) for kind, count in SAMPLE.items()),
    *(
        pytest.param(kind, count, marks=[pytest.mark.nightly, pytest.mark.needs_toxiproxy, pytest.mark.needs_torch])
        for kind, count in NIGHT.items()
    ),
]


def problems_of(harness: Harness, is_reported: bool = True) -> list[str]:
    """What is wrong with how an interrupted harness ended."""
    await_so(lambda: harness.process.poll() is not None and not harness.left(), WITHIN_S, harness.mark)
    left = harness.left()
    stderr = (harness.folder / "stderr").read_text()
    code = harness.process.poll()
    began = (harness.folder / "runs").exists()
    problems = [f"left: {one}" for one in left]
    problems += [f"exit code {code}: {stderr}"] if code != 130 and (began or code not in BEFORE_MAIN) else []
    problems += [f"stderr: {stderr}"] if began and "Traceback" in stderr else []
    if began and is_reported:
        problems += _of_report(harness)
    return problems


def _of_report(harness: Harness) -> list[str]:
    if not harness.report.exists():
        return ["there is no report"]
    interrupted = json.loads(harness.report.read_text())["meta"]["interrupted"]
    return [] if interrupted is True else ["the report does not say that the run was interrupted"]


@pytest.mark.parametrize(("kind", "count"), STORMS)
def test_ctrl_c_ends_everything_within_two_seconds(tmp_path: Path, kind: str, count: int) -> None:
    """SIGINT and SIGTERM at moments drawn from a seed that is printed: while it imports, starts and plays."""
    seed = random.SystemRandom().randrange(2**31)
    chance = random.Random(seed)
    problems, seconds = [], []
    for number in range(count):
        with started(KINDS[kind], tmp_path / str(number), stay="60s") as harness:
            with contextlib.suppress(subprocess.TimeoutExpired):
                harness.process.wait(chance.uniform(0, LATEST_S))
            begun = time.monotonic()
            harness.process.send_signal(chance.choice([signal.SIGINT, signal.SIGTERM]))
            problems += problems_of(harness)
            seconds.append(time.monotonic() - begun)
    print(f"seed {seed}: {count} interrupts in {kind}, the slowest took {max(seconds):.2f} s")
    assert problems == [], f"seed {seed}"


def test_a_second_ctrl_c_ends_it_at_once(tmp_path: Path) -> None:
    """Nothing is healed then, perhaps nothing is reported, and nothing is left all the same."""
    with started(KINDS["private"], tmp_path / "run", stay="60s") as harness:
        assert await_so(lambda: len(harness.processes("rank")) == 3, 60.0)
        harness.process.send_signal(signal.SIGINT)
        harness.process.send_signal(signal.SIGTERM)
        assert problems_of(harness, is_reported=False) == []
