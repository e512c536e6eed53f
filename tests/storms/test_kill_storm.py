"""SIGKILL of the harness at any moment leaves nothing behind within a second."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import subprocess
import sys
import time
import uuid
from pathlib import Path

import pytest
from leftovers import await_many, await_none, describe_process, environment, marked

ROOT = Path(__file__).resolve().parents[2]
SCENARIO = """
schema: rdzv-scenario/v1
title: Ranks that stay until somebody ends the harness
world: {size: 4, timeout: 5s, ranks: {3: {start: 500ms}}}
workload:
  - {do: rendezvous}
  - {do: sleep, for: 60s}
faults:
  - {inject: latency, latency: 20ms, stream: both}
  - {inject: pause, ranks: 2, after: {step: sleep, ranks: 2, is: begun}}
expect:
  - {step: rendezvous, is: ok}
"""
SECOND = 1.0
WHOLE = -1.0
WHOLE_WORLD = 8
"""The command, boot, the controller, the zygote, the proxy server, and three ranks before the fourth comes."""

WITHIN_SECONDS = 60.0
LATEST = 2.5
"""How many times as long as a first world took to be whole: moments up to then fall before, during and after it."""


@pytest.fixture
def scenario(tmp_path: Path) -> Path:
    path = tmp_path / "stays.rdzv.yaml"
    path.write_text(SCENARIO)
    return path


def start(scenario: Path, mark: str, subject: str, *options: str) -> subprocess.Popen[bytes]:
    argv = [sys.executable, "-m", "harness.cli", "run", str(scenario), "--subject", subject, "--jobs", "2", *options]
    argv += ["--runs-dir", str(scenario.parent / "runs")]
    return subprocess.Popen(argv, cwd=ROOT, env=environment(mark), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def kill_and_look(scenario: Path, moment_seconds: float, subject: str, *options: str) -> tuple[int, list[int]]:
    """Kill a harness so long after its start; how many processes it had, and which are left a second later.

    The moment `WHOLE` is when its world is whole, however long that takes.
    """
    mark = uuid.uuid4().hex
    harness = start(scenario, mark, subject, *options)
    if moment_seconds == WHOLE:
        await_many(mark, WHOLE_WORLD, WITHIN_SECONDS)
    else:
        with contextlib.suppress(subprocess.TimeoutExpired):
            harness.wait(moment_seconds)
    if harness.poll() is not None:
        pytest.fail(f"the harness ended by itself with {harness.returncode}")
    before = len(marked(mark))
    harness.kill()
    harness.wait()
    left = await_none(mark, SECOND)
    for pid in left:
        print(f"left {moment_seconds:.3f} s after the start: {describe_process(pid)}")
        os.kill(pid, signal.SIGKILL)
    return before, left


def seconds_until_whole(scenario: Path, subject: str) -> float:
    """How long a world takes to start on this machine, as busy as it is."""
    mark, begun = uuid.uuid4().hex, time.monotonic()
    with start(scenario, mark, subject) as harness:
        await_many(mark, WHOLE_WORLD, WITHIN_SECONDS)
        taken = time.monotonic() - begun
        harness.kill()
    assert await_none(mark, SECOND) == []
    return taken


@pytest.mark.needs_toxiproxy
@pytest.mark.parametrize("isolation", ["auto", "host"])
def test_a_killed_harness_leaves_nothing_behind(scenario: Path, isolation: str) -> None:
    """Three moments on every push: while it starts, while it joins, while it plays."""
    for moment_seconds in (0.3, 1.0):
        _, left = kill_and_look(scenario, moment_seconds, "echo", "--isolation", isolation)
        assert left == []
    before, left = kill_and_look(scenario, WHOLE, "echo", "--isolation", isolation)
    assert (before >= WHOLE_WORLD, left) == (True, [])


@pytest.mark.nightly
@pytest.mark.needs_torch
@pytest.mark.needs_toxiproxy
def test_fifty_kills_at_random_moments_leave_nothing_behind(
    scenario: Path, record_property: pytest.FixtureFunction
) -> None:
    """The storm: real torch, a real proxy server, a paused rank, moments drawn from a seed that is printed."""
    seed = random.SystemRandom().randrange(2**31)
    chance = random.Random(seed)
    latest = LATEST * seconds_until_whole(scenario, "static")
    counts, all_left = [], []
    for _ in range(50):
        before, left = kill_and_look(scenario, chance.uniform(0.05, latest), "static")
        counts.append(before)
        all_left += left
    record_property("processes_killed", sum(counts))
    print(f"seed {seed}: 50 kills, {min(counts)} to {max(counts)} processes each, {len(all_left)} left after a second")
    assert max(counts) >= WHOLE_WORLD, "no kill ever met a whole world: the storm proves nothing"
    assert all_left == [], f"seed {seed}"
