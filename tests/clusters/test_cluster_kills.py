"""Campaigns on Dask in which processes are killed: each play has one result, and nothing is left behind."""

from __future__ import annotations

import json
import random
import signal
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from one_campaign import JOB, POISON, TEXT, Campaign, workers

from harness import clock

pytestmark = pytest.mark.nightly
PLAYS = 200
MACHINES = 4
JOIN = ("two-ranks-join.rdzv.yaml", "--subject", "echo", "--repeat", str(PLAYS))


def _left(folder: Path) -> list[psutil.Process]:
    """Processes that a campaign has started and not ended: their temporary files would lie in its folder."""
    return [one for one in psutil.process_iter() if f"TMPDIR={folder}" in _environment(one.pid)]


def _environment(pid: int) -> list[str]:
    try:
        return Path(f"/proc/{pid}/environ").read_text(errors="replace").split("\0")
    except OSError:
        return []


def _kill_one(driver: psutil.Process, draw: random.Random) -> bool:
    """Kill a worker or its player; returns whether there was one."""
    try:
        worker = draw.choice(workers(driver))
        players = [one for one in worker.children() if "harness.cli.player" in one.cmdline()]
        draw.choice([worker, *players]).kill()
    except (IndexError, psutil.NoSuchProcess):  # it has ended meanwhile
        return False
    return True


@pytest.fixture
def campaign(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Campaign]:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    (tmp_path / "two-ranks-join.rdzv.yaml").write_text(TEXT)
    yield Campaign(tmp_path, f"dask:local:{MACHINES}", JOIN)
    _, left = psutil.wait_procs(_left(tmp_path), timeout=10)  # players whose worker was killed heal their worlds
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
    assert {row["status"] for row in campaign.check(PLAYS)} == {"passed"}


def test_the_driver_is_killed_and_goes_on(campaign: Campaign) -> None:
    """Three times: what the ledger has is never played again, and workers end with their driver."""
    for recorded in (20, 70, 130):
        driver = campaign.start()
        campaign.until(lambda recorded=recorded: len(campaign.recorded()) >= recorded)
        driver.kill()
        campaign.wait()
        psutil.wait_procs(_left(campaign.folder), timeout=60)
        assert _left(campaign.folder) == []
    campaign.start()
    assert campaign.wait() == 0
    campaign.check(PLAYS)


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
    psutil.wait_procs(_left(campaign.folder), timeout=10)
    campaign.start()
    assert campaign.wait() == 0
    campaign.check(PLAYS)


@pytest.mark.usefixtures("campaign")
def test_a_play_that_kills_its_worker_is_an_error(tmp_path: Path) -> None:
    """After three of them; it is no failure."""
    (tmp_path / "a-job-ends.rdzv.yaml").write_text(JOB)
    (tmp_path / "poison.py").write_text(POISON)
    words = ("a-job-ends.rdzv.yaml", "--subject", "command", "--isolation", "host")
    campaign = Campaign(tmp_path, f"dask:local:{MACHINES}", words, (sys.executable, str(tmp_path / "poison.py")))
    campaign.start()
    assert campaign.wait() == 3
    (row,) = campaign.check(plays=1)
    assert (row["status"], row["because"].split(";")[0]) == ("error", "three workers died playing it")
