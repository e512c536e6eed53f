"""The player that a cluster starts on its machines: a real process, and real plays of `echo`."""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from torch_installs import fake_uv

from harness import __version__, clock
from harness.campaign.machine import PREFIX
from harness.campaign.orders import FACTS, PLAYS, TORCH, MachineOrder, PlayOrder
from harness.clusters.parts.player import PLAYER
from harness.loader import load_text
from harness.play.options import RunOptions
from harness.scenario.scenario import Scenario

TEXT = """\
schema: rdzv-scenario/v1
title: Two ranks join
world: {size: 2, timeout: 5s}
workload:
  - {id: join, do: rendezvous}
  - {id: wait, do: sleep, for: SLEEP, after: join}
expect:
  - {id: all-join, step: join, is: ok}
"""
OPTIONS = RunOptions(subject="echo", python="", jobs=2)


def _cell(sleep: str = "0s") -> Scenario:
    (cell,) = load_text(TEXT.replace("SLEEP", sleep), Path("two-ranks-join.rdzv.yaml"))
    return cell


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where players make their folders."""
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", None)
    return tmp_path


def _started(order: str) -> subprocess.Popen[str]:
    player = subprocess.Popen(PLAYER, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True)
    assert player.stdin is not None
    player.stdin.write(order + "\n")
    player.stdin.flush()
    return player


def _lines(player: subprocess.Popen[str]) -> Iterator[Any]:
    assert player.stdout is not None
    for line in player.stdout:
        yield json.loads(line)


def test_a_machine_says_its_facts() -> None:
    """What decides whether it is fit."""
    with _started(MachineOrder(FACTS, OPTIONS).to_json()) as player:
        (line,) = _lines(player)
    assert player.returncode == 0
    facts = line["facts"]
    assert (facts["harness"], facts["worlds"], facts["python"]) == (__version__, 2, "")


def test_a_shard_is_played_and_leaves_nothing(temporary: Path) -> None:
    """Each play begins and has a result, with its own seed; the scenario need not be on that machine."""
    cell = _cell()
    plays = tuple(PlayOrder(f"{number:016x}", cell, number, 70 + number) for number in (1, 2, 3))
    with _started(MachineOrder(PLAYS, OPTIONS, plays).to_json()) as player:
        first, *lines = _lines(player)
    assert player.returncode == 0
    assert first == {"shard": "begun"}
    assert sorted(line["begun"] for line in lines if "begun" in line) == [play.play for play in plays]
    results = {line["result"]["play"]: line["result"] for line in lines if "result" in line}
    assert sorted(results) == [play.play for play in plays]
    assert {result["judgement"]["status"] for result in results.values()} == {"passed"}
    assert len({result["origin"]["play"] for result in results.values()}) == 3
    assert list(temporary.glob(f"{PREFIX}*")) == []


def test_a_player_ends_with_its_input(temporary: Path) -> None:
    """Within 5 s, also in the middle of a play; its worlds and its folder are gone."""
    order = MachineOrder(PLAYS, OPTIONS, (PlayOrder("0" * 16, _cell("60s"), 1, 7),))
    with _started(order.to_json()) as player:
        assert {"begun": "0" * 16} in (next(lines := _lines(player)), next(lines))
        group = os.getpgid(player.pid)
        begun_ns = clock.now_ns()
        assert player.stdin is not None
        player.stdin.close()
        assert player.wait(5) == 130
        assert clock.now_ns() - begun_ns < 5e9
    with pytest.raises(ProcessLookupError):
        os.killpg(group, 0)
    assert list(temporary.glob(f"{PREFIX}*")) == []


def test_a_machine_installs_the_torch_that_it_is_to_play(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With its own uv, into its own folder; one that no scenario can be played with is refused."""
    uv = fake_uv(tmp_path, monkeypatch)
    plays = (PlayOrder("", _cell(), 1, 1),)
    with _started(MachineOrder(TORCH, replace(OPTIONS, python="torch:2.9.1"), plays, 10**12).to_json()) as player:
        note, refused = _lines(player)
    assert player.returncode == 0
    assert note["note"].startswith(f"installing torch 2.9.1 into {tmp_path / 'torches'}")
    assert refused["refused"].startswith("it can play none of these scenarios")
    assert "venv" in uv.log()


def test_a_torch_that_there_is_not_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The machine ends well: it may play another."""
    fake_uv(tmp_path, monkeypatch)
    plays = (PlayOrder("0" * 16, _cell(), 1, 1),)
    with _started(MachineOrder(PLAYS, replace(OPTIONS, python="torch:9.9.9"), plays).to_json()) as player:
        (line,) = _lines(player)
    assert player.returncode == 0
    assert "9.9.9" in line["refused"]


@pytest.mark.parametrize("order", ["hello", '{"version": 7}'])
def test_what_is_no_order_is_refused(order: str) -> None:
    """Without a word on its output."""
    done = subprocess.run([*PLAYER], input=order + "\n", capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (3, "")
    assert done.stderr.startswith(("ValueError: ", "JSONDecodeError: "))
