"""SIGKILL of any process of the harness, in worlds of hosts, leaves no process, namespace, container or network."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import subprocess
import sys
import time
import uuid
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import pytest
from leftovers import command_of, environment, marked
from verdicts import PYTHON

from harness.machine.docker import engine
from harness.machine.docker.client import Client
from harness.machine.docker.leases import OWNER, Owner
from harness.values.errors import Unsupported

pytestmark = [pytest.mark.nightly, pytest.mark.needs_torch, pytest.mark.needs_toxiproxy]

ROOT = Path(__file__).resolve().parents[2]
SCENARIO = """
schema: rdzv-scenario/v1
title: Ranks that stay until somebody ends the harness
world: {size: 3, timeout: 20s}
workload:
  - {do: rendezvous}
  - {do: sleep, for: 60s}
faults:
  - {inject: latency, latency: 20ms, stream: both}
  - {inject: pause, ranks: 2, after: {step: sleep, ranks: 2, is: begun}}
expect:
  - {step: rendezvous, is: ok}
"""
TARGETS = {
    "parent": "harness.cli",
    "boot": "boot.py",
    "controller": "harness.play.controller",
    "zygote": "zygote.py",
    "reaper": "harness.machine.docker.reaper",
}
"""What to kill, by a word of its command line."""

SECOND = 1.0
WITHIN_SECONDS = {"namespaces": SECOND, "containers": 5.0}
"""The kernel takes namespaces at once. An engine removes containers a few at a time; how long it took is printed."""

LATEST_SECONDS = {"namespaces": 4.0, "containers": 7.0}
"""A warm world of hosts is up in about 1.5 s, one of three containers in about 3: before, during and after that."""

KILLS = {"namespaces": 60, "containers": 40}


def start(scenario: Path, mark: str, kind: str) -> subprocess.Popen[bytes]:
    argv = [sys.executable, "-m", "harness.cli", "run", str(scenario), "--world", kind, "--jobs", "1"]
    argv += ["--python", PYTHON, "--runs-dir", str(scenario.parent / "runs")]
    # Tests that run in the background of a shell inherit that Ctrl-C is ignored.
    return subprocess.Popen(
        argv, cwd=ROOT, env=environment(mark), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )  # fmt: skip


def in_engine(owners: set[int]) -> list[str]:
    """Containers and networks of these owners that are still there; `[]` without an engine."""
    try:
        with contextlib.closing(Client(engine.find().url)) as client:
            found = {**client.containers(OWNER), **client.networks(OWNER)}
    except Unsupported:
        return []
    return [one for one, labels in found.items() if Owner.from_json(labels[OWNER]).pid in owners]


@dataclass(frozen=True)
class Kill:
    """One kill: whether its victim was there, what was left at the end, and how long the rest took to go."""

    was_there: bool
    left: tuple[str, ...]
    seconds: float


def kill_one(scenario: Path, kind: str, target: str, after_seconds: float) -> Kill:
    """Kill one process so long after the start, then the harness.

    Who kills the reaper as well as the harness leaves the engine to the next run's sweep: there the harness is only
    interrupted.
    """
    mark = uuid.uuid4().hex
    harness = start(scenario, mark, kind)
    with contextlib.suppress(subprocess.TimeoutExpired):
        harness.wait(after_seconds)
    everybody = set(marked(mark))
    victims = [pid for pid in everybody if TARGETS[target] in command_of(pid)]
    for pid in victims[:1]:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    if target != "parent":
        with contextlib.suppress(subprocess.TimeoutExpired):
            harness.wait(SECOND)  # it may notice, report, and let go by itself
    everybody |= set(marked(mark))
    if target == "reaper":
        harness.send_signal(signal.SIGINT)
    else:
        harness.kill()
    harness.wait()
    return Kill(bool(victims), *_what_is_left(mark, everybody, WITHIN_SECONDS[kind]))


def _what_is_left(mark: str, owners: set[int], within_seconds: float) -> tuple[tuple[str, ...], float]:
    begun = time.monotonic()
    while (marked(mark) or in_engine(owners)) and time.monotonic() < begun + within_seconds:
        time.sleep(0.02)
    seconds = time.monotonic() - begun
    left = [f"{pid} {command_of(pid)}" for pid in marked(mark)] + in_engine(owners)
    for pid in marked(mark):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    return tuple(left), seconds


@pytest.mark.parametrize("kind", sorted(KILLS))
def test_kills_of_any_process_leave_nothing_behind(tmp_path: Path, kind: str) -> None:
    """Moments and targets drawn from a seed that is printed."""
    if kind == "containers":
        try:
            engine.find()
        except Unsupported as reason:
            pytest.skip(str(reason))
    scenario = tmp_path / "stays.rdzv.yaml"
    scenario.write_text(SCENARIO)
    seed = random.SystemRandom().randrange(2**31)
    chance = random.Random(seed)
    targets = [name for name in TARGETS if name != ("zygote" if kind == "containers" else "reaper")]
    order = [targets[number % len(targets)] for number in range(KILLS[kind])]
    kills = [(name, kill_one(scenario, kind, name, chance.uniform(0.1, LATEST_SECONDS[kind]))) for name in order]
    hit = Counter(name for name, kill in kills if kill.was_there)
    left = [f"{name}: {one}" for name, kill in kills for one in kill.left]
    slowest = max(kill.seconds for _, kill in kills)
    print(f"seed {seed}: {len(kills)} moments in {kind}, killed {dict(hit)}, all gone after {slowest:.2f} s at most")
    assert set(hit) == set(targets), f"seed {seed}: no {set(targets) - set(hit)} was ever there to be killed"
    assert left == [], f"seed {seed}"
