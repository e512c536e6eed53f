"""SIGSTOP of any process of the harness, and SIGCONT after a while, never makes a red, and leaves nothing behind."""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import docker
import pytest
from leftovers import await_none, command_of, environment, marked, output_of
from verdicts import PYTHON

from harness.cli.exit_codes import AS_EXPECTED, SOME_ERROR
from harness.machine.docker import engine
from harness.machine.docker.leases import OWNER, Owner
from harness.machine.network import network
from harness.values.errors import Unsupported
from harness.values.verdict import ERROR, PASSED

ROOT = Path(__file__).resolve().parents[2]
SECOND = 1.0
WITHIN_SECONDS = 120.0
_LOOK_AGAIN_SECONDS = 0.02

LINKS = """
schema: rdzv-scenario/v1
title: Ranks join and talk over links
world: {size: 3, timeout: 1s}
workload:
  - {do: rendezvous, id: join}
  - {do: set, id: write, ranks: 0, key: a, value: b}
  - {do: get, id: read, key: a}
  - {do: set, id: write-late, ranks: 0, key: c, value: d, after: 900ms}
  - {do: get, id: read-late, key: c, ranks: [1, 2]}
  - {do: set, id: write-last, ranks: 0, key: e, value: f, after: 1800ms}
  - {do: get, id: read-last, key: e, ranks: [1, 2]}
faults:
  - {inject: latency, latency: 20ms, stream: both, for: 1s}
expect:
  - {step: join, is: ok, within: 900ms}
  - {step: [read, read-late, read-last], is: ok}
  - {step: read, within: 900ms}
  - {check: deadline, slack: 500ms}
"""
WORKERS = LINKS.replace("{size: 3, timeout: 1s}", "{size: 2, timeout: 2s, torchrun: {max_restarts: 0}}").replace(
    "[1, 2]", "1"
)
HOSTS = """
schema: rdzv-scenario/v1
title: Ranks on hosts of their own join by slow names and over slow cables
world: {size: 2, timeout: 3s, kind: namespaces, route: direct}
workload:
  - {do: rendezvous, id: join}
  - {do: set, id: write, ranks: 0, key: a, value: b, after: 900ms}
  - {do: get, id: read, key: a}
faults:
  - {inject: slow_resolver, ranks: 1, delay: 100ms}
  - {inject: delay, ranks: 1, delay: 20ms}
expect:
  - {step: join, is: ok, within: 2s}
  - {step: read, is: ok, value: b, within: 2s}
  - {check: deadline, slack: 500ms}
"""
STRANGER = """
schema: rdzv-scenario/v1
title: A store of another run is on the port, and the master never comes
world: {size: 2, timeout: 1s, ranks: {0: {start: never}}}
workload:
  - {do: rendezvous, id: join}
faults:
  - {id: stranger, inject: impostor, answers: store, for: 1s}
expect:
  - {step: join, ranks: 1, is: [ok, failed], within: 3s}
"""

EVERYWHERE = {
    "parent": "harness.cli",
    "boot": "boot.py",
    "controller": "harness.play.controller",
    "zygote": "zygote.py",
}
"""What to stop, by a word of the begin of its command line or of the name of the file that it writes to."""


@dataclass(frozen=True)
class World:
    """A way to play, what can be stopped there, and how many stops there are in a night."""

    scenario: str
    options: tuple[str, ...]
    targets: dict[str, str]
    stops: int


ECHO = ("--subject", "echo", "--toxiproxy")
WORLDS = {
    "embedded": World(LINKS, (*ECHO, "embedded"), {**EVERYWHERE, "proxy server": "harness.engine"}, 60),
    "real": World(LINKS, (*ECHO, "real"), {**EVERYWHERE, "proxy server": "toxiproxy-server"}, 40),
    "torch": World(LINKS, ("--toxiproxy", "embedded"), {**EVERYWHERE, "proxy server": "harness.engine"}, 30),
    "torchrun": World(WORKERS, ("--toxiproxy", "embedded"), {**EVERYWHERE, "proxy server": "harness.engine"}, 20),
    "namespaces": World(HOSTS, (), {**EVERYWHERE, "name server": "name_server", "packet queue": "packet_queue"}, 40),
    "helper": World(STRANGER, (), {"helper": "impostor_store"}, 10),
    "containers": World(LINKS, ("--world", "containers"), {"controller": "play.controller", "reaper": "reaper"}, 20),
}
MAY_BE_MISSING = {"packet queue"}
"""A kernel with netem delays packets by itself."""

ON_A_PUSH = ("proxy server", "controller", "zygote")
LATEST_SECONDS, LONGEST_SECONDS = 2.5, 3.0
"""A play lasts for two seconds: moments fall in it and after it."""

IN_A_PLAY = 0.8
"""The share of moments that are counted from when ranks are there; the others from when the victim is."""


@dataclass(frozen=True)
class Stop:
    """One stop: whether its victim was there, how the run ended, and what was left."""

    target: str
    was_there: bool
    code: int
    cells: list[dict[str, Any]] = field(default_factory=list)
    left: tuple[str, ...] = ()

    @property
    def problem(self) -> str:
        """What must not be; empty if all is well."""
        statuses = {cell["status"] for cell in self.cells}
        if self.left:
            return f"{self.target}: left behind: {self.left}"
        if self.code in (AS_EXPECTED, SOME_ERROR) and statuses <= {PASSED, ERROR}:
            return ""
        return f"{self.target}: exit {self.code}, {self.cells}"


def at_once() -> bool:
    """The moment that has always come."""
    return True


def pause_process(pid: int, for_seconds: float) -> None:
    """Stop a process for so long; one that has ended is left alone."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGSTOP)
        time.sleep(for_seconds)
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGCONT)


def stop_one(
    folder: Path,
    world: World,
    target: str,
    after_seconds: float,
    for_seconds: float,
    moment: Callable[[], bool] = at_once,
    pause: Callable[[int, float], None] = pause_process,
) -> Stop:
    """Stop one process so long after it came and the moment has come, continue it, and await the end of the run."""
    mark = uuid.uuid4().hex
    scenario, report = folder / f"{mark}.rdzv.yaml", folder / f"{mark}.json"
    scenario.write_text(world.scenario)
    argv = [sys.executable, "-m", "harness.cli", "run", str(scenario), "--python", PYTHON, "--json", str(report)]
    argv += ["--replays", "0"]  # what the stop made of it, not what came after
    argv += ["--runs-dir", str(folder / "runs"), *world.options]
    quiet = subprocess.DEVNULL
    with subprocess.Popen(argv, cwd=ROOT, env=environment(mark), stdout=quiet, stderr=quiet) as harness:
        victim = _await_victim(harness, mark, world.targets[target])
        if victim is not None:
            while not moment() and harness.poll() is None:
                time.sleep(_LOOK_AGAIN_SECONDS)
            with contextlib.suppress(subprocess.TimeoutExpired):
                harness.wait(after_seconds)
            pause(victim, for_seconds)
        try:
            harness.wait(WITHIN_SECONDS)
        finally:
            harness.kill()
    left = [f"{pid} {command_of(pid)}" for pid in await_none(mark, SECOND)]
    cells = json.loads(report.read_text())["results"] if report.exists() else []
    return Stop(target, victim is not None, harness.returncode, [_shown(cell) for cell in cells], tuple(left))


def _shown(cell: dict[str, Any]) -> dict[str, Any]:
    return {"status": cell["status"], "because": cell["because"], "run": cell.get("run_dir")}


def _await_victim(harness: subprocess.Popen[bytes], mark: str, word: str) -> int | None:
    """The process of the run that is to be stopped, once it is there; None if the run ends before."""
    while harness.poll() is None:
        victim = _oldest([pid for pid in marked(mark) if word in _program_of(pid) or word in output_of(pid)])
        if victim is not None:
            return victim
        time.sleep(_LOOK_AGAIN_SECONDS)
    return None


def _program_of(pid: int) -> str:
    """The program and what it runs, without its arguments: boot is given the command line of the controller."""
    return " ".join(command_of(pid).split()[:4])


def _oldest(pids: list[int]) -> int | None:
    """The clones of a zygote look like it, and are younger."""
    return min(pids, key=_start_of, default=None)


def _start_of(pid: int) -> int:
    with contextlib.suppress(OSError):
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19])
    return sys.maxsize


def storm(folder: Path, name: str, targets: list[str]) -> list[Stop]:
    """Stop these in turn, at moments and for times drawn from a seed that is printed."""
    seed = random.SystemRandom().randrange(2**31)
    chance = random.Random(seed)
    stops = [_drawn_stop(folder / str(number), WORLDS[name], target, chance) for number, target in enumerate(targets)]
    hit = Counter(stop.target for stop in stops if stop.was_there)
    codes = Counter(stop.code for stop in stops)
    print(f"seed {seed}: {len(stops)} stops in {name}, of {dict(hit)}, exit codes {dict(codes)}")
    assert set(targets) - set(hit) <= MAY_BE_MISSING, f"seed {seed}: {set(targets) - set(hit)} was never there"
    assert [stop.problem for stop in stops if stop.problem] == [], f"seed {seed}"
    return stops


def _drawn_stop(folder: Path, world: World, target: str, chance: random.Random) -> Stop:
    folder.mkdir()

    def plays() -> bool:
        return any((folder / "runs").glob("*/ops/rank-*.jsonl"))

    moment = plays if chance.random() < IN_A_PLAY else at_once
    after, length = chance.uniform(0.0, LATEST_SECONDS), chance.uniform(0.05, LONGEST_SECONDS)
    return stop_one(folder, world, target, after, length, moment)


def test_a_stopped_part_makes_no_red(tmp_path: Path) -> None:
    """A sample of each push: the verdict is passed, or an error that names the part."""
    storm(tmp_path, "embedded", list(ON_A_PUSH))


def test_calls_that_fail_because_the_proxy_server_stands_still_are_an_error_that_names_it(tmp_path: Path) -> None:
    """It is stopped once rank 1 has read the first key, for longer than the timeout of the next ones."""

    def has_read() -> bool:
        return any('"ok"' in line and '"read"' in line for line in _operations(tmp_path, rank=1))

    stop = stop_one(tmp_path, WORLDS["embedded"], "proxy server", 0.0, 4.0, moment=has_read)
    assert (stop.was_there, stop.code, stop.problem) == (True, SOME_ERROR, "")
    assert "the proxy server stood still for " in stop.cells[0]["because"]


@pytest.mark.nightly
@pytest.mark.needs_torch
def test_a_proxy_container_that_was_paused_is_named(tmp_path: Path) -> None:
    """Its processes look asleep: only their cgroup shows that they stand still."""
    try:
        url = engine.find().url
    except Unsupported as reason:
        pytest.skip(str(reason))

    def has_read() -> bool:
        return any('"ok"' in line and '"read"' in line for line in _operations(tmp_path, rank=1))

    def pause(controller: int, for_seconds: float) -> None:
        with contextlib.closing(docker.DockerClient(base_url=url)) as client:
            ours = [one for one in client.containers.list() if _owner_of(one.labels) == controller]
            assert ours, "the controller owns no container"
            (server,) = (one for one in ours if "-server-" in one.name)
            server.pause()
            time.sleep(for_seconds)
            server.unpause()

    stop = stop_one(tmp_path, WORLDS["containers"], "controller", 0.0, 4.0, has_read, pause)
    assert (stop.was_there, stop.code, stop.problem) == (True, SOME_ERROR, "")
    assert "the proxy server stood still for " in stop.cells[0]["because"]


def _owner_of(labels: dict[str, str]) -> int | None:
    return Owner.from_json(labels[OWNER]).pid if OWNER in labels else None


def _operations(folder: Path, rank: int) -> Iterator[str]:
    for path in (folder / "runs").glob(f"*/ops/rank-{rank}.life-1.jsonl"):
        yield from path.read_text().splitlines()


@pytest.mark.nightly
@pytest.mark.needs_torch
@pytest.mark.needs_toxiproxy
@pytest.mark.parametrize("name", WORLDS)
def test_stops_of_any_part_make_no_red(tmp_path: Path, name: str) -> None:
    """In every kind of world, each part in turn."""
    if name == "containers":
        try:
            engine.find()
        except Unsupported as reason:
            pytest.skip(str(reason))
    if name == "namespaces" and network.missing():
        pytest.skip(network.missing())
    world = WORLDS[name]
    targets = list(world.targets)
    storm(tmp_path, name, [targets[number % len(targets)] for number in range(world.stops)])
