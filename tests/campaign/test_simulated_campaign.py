"""A campaign on simulated machines: whatever is lost, each play has one result."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest
from simulated_machines import World, play_name, simulate

SMALL = World(machines=20, plays=2000, side_by_side=2, seed=3)
POISON = frozenset({7, 900, 1999})


ONCE = bytearray([1] * 2000)


def _in_ledger(path: Path) -> Counter[str]:
    return Counter(json.loads(line)["play"] for line in path.read_text().splitlines()[1:])


ALL = Counter(play_name(play) for play in range(2000))


@pytest.mark.parametrize("seed", range(3))
def test_each_play_has_one_result_whatever_is_lost(tmp_path: Path, seed: int) -> None:
    """Of all shards 5 % are lost with their machines, and rows come late: none is missing, none counts twice."""
    world = World(machines=20, plays=2000, side_by_side=2, losses=0.05, seed=seed)
    outcome = simulate(world, tmp_path / "ledger.jsonl")
    assert outcome.results == ONCE
    assert _in_ledger(tmp_path / "ledger.jsonl") == ALL
    assert outcome.losses > 0
    assert outcome.errors == []


def test_a_play_that_kills_its_machine_is_given_up_after_three(tmp_path: Path) -> None:
    """Only these: what was played beside them has its result."""
    outcome = simulate(World(machines=20, plays=2000, side_by_side=2, losses=0, poison=POISON), tmp_path / "l.jsonl")
    assert sorted(outcome.errors) == sorted(POISON)
    assert outcome.results == ONCE
    assert outcome.losses == 3 * len(POISON)


@pytest.mark.parametrize("events", [1, 50, 400])
def test_a_driver_that_is_killed_goes_on_where_it_was(tmp_path: Path, events: int) -> None:
    """The next one plays what the ledger does not have, and nothing else."""
    path = tmp_path / "ledger.jsonl"
    before = simulate(SMALL, path, most_events=events)
    with open(path, "ab") as file:
        file.write(b'{"play": "00000000000')
    after = simulate(SMALL, path)
    assert bytearray(map(sum, zip(before.results, after.results, strict=True))) == ONCE
    assert _in_ledger(path) == ALL


def test_machines_are_busy_until_the_end(tmp_path: Path) -> None:
    """Also if some are slow: a campaign takes little longer than its plays on all machines would."""
    world = World(machines=20, plays=20_000, side_by_side=2, losses=0, stragglers=0.1)
    least = world.plays * world.seconds / (world.machines * world.side_by_side)
    assert simulate(world, tmp_path / "ledger.jsonl").seconds < 1.4 * least
