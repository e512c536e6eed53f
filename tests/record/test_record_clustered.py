"""A record that is played on machines: the files are those of one machine, whatever is lost or made up."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from fake_cluster import Died, FakeCluster, path_in
from record_parts import scenario
from test_record_playing import history

from harness.archive import RunDirs
from harness.campaign.clustered import ClusterRunner
from harness.campaign.orders import MachineOrder, PlayOrder
from harness.clusters.base import Joined
from harness.judge.result import Result
from harness.play.options import RunOptions
from harness.record import clustered, folder
from harness.record.clustered import Ended, Record, Wish, row_of
from harness.record.document import Results
from harness.record.playing import missing, play
from harness.scenario.scenario import Scenario
from harness.values.verdict import ERROR, FAILED, KNOWN, PASSED, SKIPPED, Judgement, Verdict

CELLS = [replace(scenario(), path=Path(f"scenarios/timeouts/cell-{number}.rdzv.yaml")) for number in range(3)]
OLD, NEW = "torch:2.8.0", "torch:2.9.1"
BUILDS = {OLD: "2.8.0+cu128", NEW: "2.9.1+cu128"}
SUBJECTS = ("static", "static-strict")
STATUSES = (PASSED, KNOWN, FAILED)


def _result(cell: Scenario, seed: int, subject: str, build: str) -> Result:
    """What a play says: the same wherever it is played."""
    number = CELLS.index(next(one for one in CELLS if one.path == cell.path))
    status = STATUSES[(number + seed + len(subject) + len(build)) % 3]
    verdicts = tuple(Verdict(name, PASSED if status == PASSED else FAILED) for name in ("in-time", "named"))
    past = history(f"timed out after {number}00ms at 10.0.0.{seed}:29500", seconds=seed)
    origin = {"ranks": {"torch": build}}
    judgement = Judgement(status, "because", verdicts)
    return Result(cell, judgement, past, None, 0.1, attempt=seed, subject=subject, seed=seed, origin=origin)


def _played(order: MachineOrder, one: PlayOrder) -> Result:
    return _result(one.scenario, one.seed, order.options.subject, BUILDS[order.options.python])


def _plays(machine: str, order: MachineOrder) -> Iterator[str]:
    yield '{"shard":"begun"}'
    for one in order.plays:
        yield json.dumps({"begun": one.play})
        yield json.dumps({"result": row_of(one.play, _played(order, one))})


def _torches(machine: str, order: MachineOrder) -> Iterator[str]:
    yield '{"note":"installing"}'
    yield json.dumps({"torch": BUILDS[order.options.python]})


class Campaign:
    """Plays into a record that is in a folder."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.said: list[str] = []

    def __call__(self, cluster: FakeCluster, ledger: bool = False, repeat: int = 4) -> Ended:
        record = Record(lambda *of: folder.load_or_new(self.path / "record", *of), self._keep)
        dirs = RunDirs(self.path / "runs", 0)
        options = RunOptions(runs_dir=self.path / "runs")
        torchless = replace(options, subject="echo")
        path = path_in(self.path) if ledger else None
        try:
            with ClusterRunner(torchless, cluster, path, None, dirs, self.said.append) as runner:
                wish = Wish((OLD, NEW), SUBJECTS, repeat, 7)
                return clustered.play(runner, wish, CELLS, options, record, self.said.append)
        finally:
            dirs.release()

    def _keep(self, results: Results) -> None:
        folder.save(self.path / "record", results)

    @property
    def files(self) -> dict[str, str]:
        there = (self.path / "record").rglob("*.json")
        return {str(file.relative_to(self.path / "record")): file.read_text() for file in there}


@pytest.fixture
def campaign(tmp_path: Path) -> Campaign:
    return Campaign(tmp_path)


def _of_one_machine(path: Path, repeat: int = 4) -> dict[str, str]:
    """The files that a run without a cluster writes."""

    class Runner:
        def __init__(self, subject: str, build: str) -> None:
            self.of = (subject, build)

        def run_source(self, source: Any) -> Iterator[Result]:
            results: list[Result] = []
            while (trials := source.next(results)) is not None:
                results = [_result(one.scenario, one.seed, *self.of) for one in trials]
                yield from results

    def keep(results: Results) -> None:
        folder.save(path / "record", results)

    for build in BUILDS.values():
        for subject in SUBJECTS:
            results = folder.load_or_new(path / "record", build, subject)
            play(Runner(subject, build), results, missing(results, CELLS, repeat), keep, print, lambda: 0)
    return Campaign(path).files


def test_the_files_are_those_of_one_machine(campaign: Campaign, tmp_path: Path) -> None:
    """To the byte: the same ids, outcomes and samples; each machine installs and plays one torch."""
    cluster = FakeCluster(_plays, _torches, a={}, b={})
    ended = campaign(cluster)
    assert campaign.files == _of_one_machine(tmp_path / "one")
    assert len(campaign.files) == 4
    assert ended.missing == {}
    assert [(progress.done, progress.total) for progress in ended.progress] == [(12, 12)] * 4
    assert sorted(cluster.asked) == [("a", OLD), ("b", NEW)]
    assert "a: installing" in campaign.said
    assert (cluster.opened, cluster.closed) == (1, 1)


def test_a_torch_stays_on_its_machine(campaign: Campaign) -> None:
    """Environments are what costs; a shard has one torch and one subject."""
    seen = set()

    def plays(machine: str, order: MachineOrder) -> Iterator[str]:
        seen.add((machine, order.options.python, order.build, order.limit))
        yield from _plays(machine, order)

    campaign(FakeCluster(plays, _torches, a={}, b={}), repeat=40)
    assert seen == {("a", OLD, BUILDS[OLD], 7), ("b", NEW, BUILDS[NEW], 7)}


def test_a_next_call_has_nothing_to_do(campaign: Campaign) -> None:
    """It plays what the record lacks, as `record run` does."""
    campaign(FakeCluster(_plays, _torches, a={}), repeat=2)
    cluster = FakeCluster(_plays, _torches, a={})
    campaign(cluster, repeat=3)
    assert len(cluster.sent) == 3 * 2 * 2
    again = FakeCluster(_plays, _torches, a={})
    campaign(again, repeat=3)
    assert again.sent == []


class Killed(BaseException):
    """The driver, before it could store its record."""


def test_a_ledger_has_what_the_record_had_not_stored(campaign: Campaign, tmp_path: Path) -> None:
    """A driver that is killed plays nothing twice, and the record is whole in the end."""
    count = 0

    def keep(results: Results) -> None:
        raise Killed

    def plays(machine: str, order: MachineOrder) -> Iterator[str]:
        nonlocal count
        for line in _plays(machine, order):
            count += '"result"' in line
            yield line
            if count == 20:
                cluster.happens(Joined("never"))
                raise Killed

    cluster = FakeCluster(plays, _torches, a={})
    stored, campaign._keep = campaign._keep, keep  # type: ignore[method-assign]
    with pytest.raises(Killed):
        campaign(cluster, ledger=True)
    campaign._keep = stored  # type: ignore[method-assign]
    assert campaign.files == {}
    recorded = path_in(tmp_path).read_text().count('"play"') and len(path_in(tmp_path).read_text().splitlines()) - 1
    rest = FakeCluster(_plays, _torches, a={})
    campaign(rest, ledger=True)
    assert 0 < recorded < 48
    assert len(rest.sent) == 48 - recorded
    assert campaign.files == _of_one_machine(tmp_path / "one")
    campaign(FakeCluster(_plays, _torches, a={}), ledger=True, repeat=5)
    assert not any("not used" in line for line in campaign.said)


def test_what_says_nothing_is_played_again(campaign: Campaign) -> None:
    """Also if a ledger has it: it is no result of the record; what a machine cannot play is another's."""
    bad = iter([ERROR, SKIPPED])

    def plays(machine: str, order: MachineOrder) -> Iterator[str]:
        yield '{"shard":"begun"}'
        for one in order.plays:
            result = _played(order, one)
            status = next(bad, None)
            judged = result if status is None else replace(result, judgement=Judgement(status, "no disk"))
            yield json.dumps({"result": row_of(one.play, judged)})

    first = campaign(FakeCluster(plays, _torches, a={}), ledger=True)
    assert sum(progress.unsettled for progress in first.progress) == 1
    again = FakeCluster(_plays, _torches, a={})
    assert sum(progress.unsettled for progress in campaign(again, ledger=True).progress) == 0
    assert len(again.sent) == 2


def test_a_machine_that_dies_costs_what_it_was_playing(campaign: Campaign, tmp_path: Path) -> None:
    """Another gets its torch, and each play is in the record once."""
    deaths = []

    def plays(machine: str, order: MachineOrder) -> Iterator[str]:
        for number, line in enumerate(_plays(machine, order)):
            if machine == "b" and number == 4:
                deaths.append(machine)
                raise Died
            yield line

    campaign(FakeCluster(plays, _torches, a={}, b={}))
    assert deaths == ["b"]
    assert campaign.files == _of_one_machine(tmp_path / "one")


def test_a_torch_that_one_machine_cannot_have_is_played_by_another(campaign: Campaign, tmp_path: Path) -> None:
    """The reason is said; a machine with another build of it refuses its shards, and no play is blamed."""

    def torches(machine: str, order: MachineOrder) -> Iterator[str]:
        yield '{"refused":"no uv"}' if machine == "a" else next(iter([*_torches(machine, order)][1:]))

    def plays(machine: str, order: MachineOrder) -> Iterator[str]:
        refused.update([order.options.python] if machine == "a" else [])
        yield from ['{"refused":"its torch is 2.9.1+cpu"}'] if machine == "a" else _plays(machine, order)

    refused: Counter[str] = Counter()
    ended = campaign(FakeCluster(plays, torches, a={}, b={}), repeat=40)
    assert ended.missing == {}
    assert campaign.files == _of_one_machine(tmp_path / "one", repeat=40)
    assert f"a cannot play {OLD}: no uv" in campaign.said
    assert f"a does not play {NEW}: its torch is 2.9.1+cpu" in campaign.said
    assert max(refused.values()) <= 2  # those that it had got already


def test_a_torch_that_nobody_can_have_is_named(campaign: Campaign) -> None:
    """With the reason of each machine; the others are played."""

    def torches(machine: str, order: MachineOrder) -> Iterator[str]:
        yield '{"refused":"no such release"}' if order.options.python == NEW else json.dumps({"torch": BUILDS[OLD]})

    ended = campaign(FakeCluster(_plays, torches, a={}, b={}))
    assert ended.missing == {NEW: {"a": "no such release", "b": "no such release"}}
    assert sorted(campaign.files) == ["static-strict/2.8.0+cu128.json", "static/2.8.0+cu128.json"]


def test_one_build_is_played_once(campaign: Campaign) -> None:
    """Two words may mean it."""
    cluster = FakeCluster(_plays, lambda *_: iter([json.dumps({"torch": BUILDS[OLD]})]), a={})
    campaign(cluster, repeat=1)
    assert len(cluster.sent) == len(set(cluster.sent)) == 6
    assert f"{NEW} has torch {BUILDS[OLD]}, as {OLD} has: it is played once" in campaign.said


def _other_status(row: dict[str, Any]) -> None:
    row["observed"]["status"] = SKIPPED


def _no_outcome(row: dict[str, Any]) -> None:
    row["outcomes"] = {}


def _of_another_play(row: dict[str, Any]) -> None:
    for outcome in row["outcomes"].values():
        outcome["play"] = "0" * 16


def _of_another_torch(row: dict[str, Any]) -> None:
    row["origin"]["ranks"]["torch"] = "2.9.1+cpu"


def _nothing(row: dict[str, Any]) -> None:
    del row["observed"]


@pytest.mark.parametrize("change", [_other_status, _no_outcome, _of_another_play, _of_another_torch, _nothing])
def test_a_machine_that_makes_up_what_is_kept_loses_its_shard(
    campaign: Campaign, tmp_path: Path, change: Callable[[dict[str, Any]], None]
) -> None:
    """Nothing of it is in the record."""
    changed = []

    def plays(machine: str, order: MachineOrder) -> Iterator[str]:
        for line in _plays(machine, order):
            if '"result"' in line and not changed:
                said = json.loads(line)
                change(said["result"])
                changed.append(machine)
                line = json.dumps(said)
            yield line

    campaign(FakeCluster(plays, _torches, a={}, b={}))
    assert any("it said what no player says (" in line for line in campaign.said)
    assert campaign.files == _of_one_machine(tmp_path / "one")
