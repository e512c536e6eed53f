"""Campaigns on Dask in which processes are killed: each play has one result, and nothing is left behind."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from harness import clock

pytestmark = pytest.mark.nightly
PLAYS = 200
MACHINES = 4
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
    """A driver in a process of its own; its ledger, report and temporary files are in one folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.ledger, self.report = folder / "ledger.jsonl", folder / "report.json"
        (folder / "two-ranks-join.rdzv.yaml").write_text(TEXT)
        self.driver: subprocess.Popen[bytes] | None = None

    def start(self, *words: str, job: tuple[str, ...] = ()) -> psutil.Process:
        """Start the driver."""
        words = words or ("two-ranks-join.rdzv.yaml", "--subject", "echo", "--repeat", str(PLAYS))
        files = ["--ledger", self.ledger.name, "--json", self.report.name]
        command = [sys.executable, "-m", "harness.cli", "--no-config", "run", *words, *files, "--jobs", "2"]
        with open(self.folder / "log", "ab") as log:
            self.driver = subprocess.Popen(
                [*command, "--cluster", f"dask:local:{MACHINES}", *(["--", *job] if job else [])],
                cwd=self.folder,
                stdout=log,
                stderr=log,
                env={**os.environ, "TMPDIR": str(self.folder)},
            )
        return psutil.Process(self.driver.pid)

    def wait(self) -> int:
        assert self.driver is not None
        return self.driver.wait(PATIENCE_S)

    def recorded(self) -> list[str]:
        """The plays of the ledger, in order."""
        lines = self.ledger.read_text().splitlines(keepends=True)[1:] if self.ledger.exists() else []
        return [json.loads(line)["play"] for line in lines if line.endswith("\n")]

    def until(self, seen: Callable[[], Any]) -> None:
        deadline_ns = clock.now_ns() + PATIENCE_S * 10**9
        while not seen():
            assert clock.now_ns() < deadline_ns, (self.folder / "log").read_text()[-2000:]
            assert self.driver is not None
            assert self.driver.poll() is None, (self.folder / "log").read_text()[-2000:]
            try:
                self.driver.wait(0.05)
            except subprocess.TimeoutExpired:
                continue

    def check(self, plays: int = PLAYS) -> list[Any]:
        """Each play once, in the ledger and in the report; returns the rows of the report."""
        recorded = self.recorded()
        assert len(recorded) == len(set(recorded)) == plays
        rows: list[Any] = json.loads(self.report.read_text())["results"]
        assert sorted(row["attempt"] for row in rows) == list(range(1, plays + 1))
        return rows

    def left(self) -> list[psutil.Process]:
        """Processes that a campaign has started and not ended: their temporary files would lie in its folder."""
        mine = f"TMPDIR={self.folder}"
        return [one for one in psutil.process_iter() if mine in _environment(one.pid)]


def _environment(pid: int) -> list[str]:
    try:
        return Path(f"/proc/{pid}/environ").read_text(errors="replace").split("\0")
    except OSError:
        return []


def _workers(driver: psutil.Process) -> list[psutil.Process]:
    """The workers of Dask, which the nannies in the driver have started."""
    return [one for one in driver.children() if any("spawn_main" in word for word in one.cmdline())]


def _kill_one(driver: psutil.Process, draw: random.Random) -> bool:
    """Kill a worker or its player; returns whether there was one."""
    try:
        worker = draw.choice(_workers(driver))
        players = [one for one in worker.children() if "harness.cli.player" in one.cmdline()]
        draw.choice([worker, *players]).kill()
    except (IndexError, psutil.NoSuchProcess):  # it has ended meanwhile
        return False
    return True


@pytest.fixture
def campaign(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Campaign]:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    campaign = Campaign(tmp_path)
    yield campaign
    _, left = psutil.wait_procs(campaign.left(), timeout=10)  # players whose worker was killed heal their worlds
    for one in left:
        one.kill()
    assert left == [], (tmp_path / "log").read_text()[-2000:]
    # The folder of a player that was killed is deleted by a later player, once no process of that one is left.
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(("rdzv-dask-", "dask-"))] == []


@pytest.mark.parametrize("seed", [1, 2])
def test_workers_and_players_are_killed(campaign: Campaign, seed: int) -> None:
    """Ten of them at drawn times: 200 plays, each once, none of them red."""
    draw = random.Random(seed)
    driver = campaign.start()
    for kill in sorted(draw.sample(range(5, PLAYS - 20), 10)):
        campaign.until(lambda kill=kill: len(campaign.recorded()) >= kill and _kill_one(driver, draw))
    assert campaign.wait() == 0, (campaign.folder / "log").read_text()[-2000:]
    assert {row["status"] for row in campaign.check()} == {"passed"}


def test_the_driver_is_killed_and_goes_on(campaign: Campaign) -> None:
    """Three times: what the ledger has is never played again, and workers end with their driver."""
    for recorded in (20, 70, 130):
        driver = campaign.start()
        campaign.until(lambda recorded=recorded: len(campaign.recorded()) >= recorded)
        driver.kill()
        campaign.wait()
        psutil.wait_procs(campaign.left(), timeout=60)
        assert campaign.left() == []
    campaign.start()
    assert campaign.wait() == 0
    campaign.check()


def test_ctrl_c_ends_a_campaign_within_5_seconds(campaign: Campaign) -> None:
    """What was played is reported, and the next call goes on."""
    campaign.start()
    campaign.until(lambda: len(campaign.recorded()) >= 10)
    assert campaign.driver is not None
    begun_ns = clock.now_ns()
    campaign.driver.send_signal(signal.SIGINT)
    assert campaign.wait() == 130
    assert clock.now_ns() - begun_ns < 5e9
    document = json.loads(campaign.report.read_text())
    assert document["meta"]["interrupted"] is True
    assert len(document["results"]) <= len(campaign.recorded())
    psutil.wait_procs(campaign.left(), timeout=10)
    campaign.start()
    assert campaign.wait() == 0
    campaign.check()


def test_a_play_that_kills_its_worker_is_an_error(campaign: Campaign) -> None:
    """After three of them; it is no failure."""
    (campaign.folder / "a-job-ends.rdzv.yaml").write_text(JOB)
    (campaign.folder / "poison.py").write_text(POISON)
    words = ("a-job-ends.rdzv.yaml", "--subject", "command", "--isolation", "host")
    campaign.start(*words, job=(sys.executable, str(campaign.folder / "poison.py")))
    assert campaign.wait() == 3
    (row,) = campaign.check(plays=1)
    assert (row["status"], row["because"].split(";")[0]) == ("error", "three workers died playing it")
