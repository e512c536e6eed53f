"""SIGKILL of any process of a harness in any kind of world leaves nothing, loses no result and makes none red."""

from __future__ import annotations

import contextlib
import random
import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from backends import started as server_started
from harnesses import CELLS, ENDS_WITHIN_S, KINDS, Harness, await_end, await_nothing, kill_first, started
from leftovers import await_so

from harness.machine.docker import engine
from harness.values.errors import Unsupported

SAMPLE = {"private": 2, "namespaces": 1}
NIGHT = {"private": 40, "host": 40, "given": 15, "namespaces": 45, "torchrun": 20, "containers": 25, "pytest": 15}
"""How many kills on a push, and in a night: 200."""

ATTEMPTS = 3
"""How often a victim that has ended before it could be killed is tried again: how long a harness lasts varies."""

MARKS = {"host": pytest.mark.needs_toxiproxy, "torchrun": pytest.mark.needs_torch}
STORMS = [
    *(pytest.param(kind, kills, marks=[MARKS[kind]] if kind in MARKS else []) for kind, kills in SAMPLE.items()),
    *(
        pytest.param(kind, kills, marks=[pytest.mark.nightly, *([MARKS[kind]] if kind in MARKS else [])])
        for kind, kills in NIGHT.items()
    ),
]
OUTSIDE = ("rank", "worker")
"""What a killed rank does is the subject's business, and xdist itself reports the test of a killed worker."""

NOT_EVERYWHERE = ("packet queue",)
"""Only where the kernel has no netem."""


@dataclass(frozen=True)
class Kill:
    """One kill.

    Attributes:
        was_there: whether there was such a process to kill.
        seconds: how long what it left took to go.
        problems: what must not be.
    """

    victim: str
    was_there: bool
    seconds: float
    problems: tuple[str, ...]


@contextlib.contextmanager
def given_server(kind: str, folder: Path) -> Iterator[str]:
    """The URL of somebody else's server for the kind that is played through one; else empty."""
    if kind != "given":
        yield ""
        return
    with server_started("embedded", folder) as server:
        yield f"http://{server.api}"


def seconds_undisturbed(kind: str, folder: Path, url: str) -> float:
    """How long a harness of this kind takes on this machine, as busy as it is; all its cells pass."""
    begun = time.monotonic()
    with started(KINDS[kind], folder, url=url) as harness:
        code = await_end(harness)
        assert (code, harness.results()) == (0, ["passed"] * CELLS), (folder / "stderr").read_text()
        seconds = time.monotonic() - begun
        assert await_nothing(harness, url) == []
    return seconds


def kill_one(kind: str, victim: str, folder: Path, chance: random.Random, lasts_s: float, url: str) -> Kill:
    """Kill the first process of a kind at a moment drawn from its life, and look at what the harness makes of it."""
    with started(KINDS[kind], folder, url=url) as harness:
        begun = time.monotonic()
        comes = _comes_with(kind, victim)
        await_so(lambda: harness.process.poll() is not None or bool(harness.processes(comes)), 2 * lasts_s)
        rest_s = max(0.0, lasts_s - (time.monotonic() - begun))
        with contextlib.suppress(subprocess.TimeoutExpired):
            harness.process.wait(chance.uniform(0, 0.9 * rest_s))
        harness.look()
        was_there = kill_first(harness.processes(victim))
        problems = [] if victim == "parent" else _problems_of_survivor(harness, victim)
        harness.process.wait()
        begun = time.monotonic()
        left = await_nothing(harness, url)
        return Kill(victim, was_there, time.monotonic() - begun, tuple(problems + left))


def kills_of(kind: str, victim: str, folder: Path, chance: random.Random, lasts_s: float, url: str) -> Iterator[Kill]:
    """Kill one; where the harness had ended before the drawn moment, try again."""
    folder.mkdir()
    for attempt in range(ATTEMPTS):
        kill = kill_one(kind, victim, folder / str(attempt), chance, lasts_s, url)
        yield kill
        if kill.was_there:
            return


def _comes_with(kind: str, victim: str) -> str:
    """The process from whose start on a moment is drawn.

    Before its first world pytest with its workers is not this project's: a killed one is left to xdist.
    """
    return "boot" if kind == "pytest" and victim in ("parent", "worker") else victim


def _problems_of_survivor(harness: Harness, victim: str) -> list[str]:
    """What is wrong with the results of a harness that lost a part of itself."""
    code = await_end(harness)
    if code is None:
        harness.process.kill()
        return ["the harness did not end"]
    stderr = (harness.folder / "stderr").read_text()
    problems = [f"stderr: {stderr}"] if "Traceback" in stderr or "this is a bug" in stderr else []
    results = harness.results()
    if victim not in OUTSIDE and (len(results) != CELLS or not {*results} <= {"passed", "error"}):
        problems.append(f"exit code {code}, results {results}, {stderr}")
    return problems


def require(kind: str) -> None:
    """Skip the test where the kind needs a Docker engine and there is none."""
    if kind == "containers":
        try:
            engine.find()
        except Unsupported as missing:
            pytest.skip(str(missing))


@pytest.mark.parametrize(
    ("kind", "victim"), [("private", "engine"), ("namespaces", "name server"), ("namespaces", "packet queue")]
)
def test_a_part_that_is_killed_during_a_play_makes_it_an_error(tmp_path: Path, kind: str, victim: str) -> None:
    """Though every claim may hold without it; the next play gets a fresh one, and passes."""
    with started(KINDS[kind], tmp_path / "run", stay="2s") as harness:
        assert await_so(harness.is_sleeping, ENDS_WITHIN_S)
        if victim in NOT_EVERYWHERE and not harness.processes(victim):
            pytest.skip("the kernel delays packets itself")
        assert kill_first(harness.processes(victim))
        await_end(harness)
        assert harness.results() == ["error", "passed"], (harness.folder / "stderr").read_text()


@pytest.mark.needs_torch
def test_a_helper_of_a_fault_that_is_killed_makes_the_play_an_error(tmp_path: Path) -> None:
    """Without it the fault is no longer there, whatever the ranks meet; the next play passes."""
    with started(KINDS["helper"], tmp_path / "run") as harness:
        assert await_so(lambda: bool(harness.processes("helper")), ENDS_WITHIN_S)
        assert kill_first(harness.processes("helper"))
        await_end(harness)
        assert harness.results() == ["error", "passed"], (harness.folder / "stderr").read_text()


@pytest.mark.parametrize(("kind", "kills"), STORMS)
def test_a_killed_part_leaves_nothing_and_makes_no_red(tmp_path: Path, kind: str, kills: int) -> None:
    """Victims in turn, moments drawn, from a seed that is printed; every cell is passed or an error."""
    require(kind)
    seed = random.SystemRandom().randrange(2**31)
    chance = random.Random(seed)
    victims = chance.sample(KINDS[kind].victims, len(KINDS[kind].victims))
    with given_server(kind, tmp_path) as url:
        lasts_s = seconds_undisturbed(kind, tmp_path / "undisturbed", url)
        done = [
            kill
            for number in range(kills)
            for kill in kills_of(kind, victims[number % len(victims)], tmp_path / str(number), chance, lasts_s, url)
        ]
    hit = Counter(kill.victim for kill in done if kill.was_there)
    slowest = max(kill.seconds for kill in done)
    print(f"seed {seed}: {len(done)} moments in {kind}, hit {dict(hit)}, all gone after {slowest:.2f} s at most")
    assert [f"{kill.victim}: {one}" for kill in done for one in kill.problems] == [], f"seed {seed}"
    if kills >= 3 * len(victims):
        assert set(hit) >= {*victims} - {*NOT_EVERYWHERE}, f"seed {seed}: some were never there to be killed"
