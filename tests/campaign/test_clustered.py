"""A campaign over a cluster without machines: each play has one result, whatever is lost, doubled or made up."""

from __future__ import annotations

import base64
import io
import json
import tarfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from fake_cluster import Died, Failed, FakeCluster, line_of, lines_of, passed, path_in
from fake_controllers import joined
from pasts import scenario

from harness.archive import RunDirs, create_run, write_history, write_judgement
from harness.campaign import clustered
from harness.campaign.clustered import ClusterRunner
from harness.campaign.orders import MachineOrder
from harness.clusters.base import Joined
from harness.judge.result import Result
from harness.play.options import RunOptions
from harness.scenario.scenario import Scenario
from harness.values.errors import HarnessError, UsageError
from harness.values.verdict import ERROR, FAILED, PASSED, Judgement

ONE = scenario()
CELLS = [replace(ONE, path=Path(f"scenarios/x/cell-{number}.rdzv.yaml"), text=f"{number}") for number in range(6)]


class Campaign:
    """Runs of a campaign whose ledger and run directories are in one folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.said: list[str] = []
        self.options = RunOptions(runs_dir=folder / "runs", seed=7)

    def __call__(self, cluster: FakeCluster, repeat: int = 2, **options: Any) -> list[Result]:
        """All results."""
        return list(self.results(cluster, repeat, **options))

    def results(
        self, cluster: FakeCluster, repeat: int = 2, ledger: bool = True, until_fail: bool = False, **options: Any
    ) -> Iterator[Result]:
        chosen = replace(self.options, **options)
        dirs = RunDirs(chosen.runs_dir, chosen.keep)
        path = path_in(self.folder) if ledger else None
        with ClusterRunner(chosen, cluster, path, _line, dirs, self.said.append) as runner:
            yield from runner.run(CELLS, repeat, until_fail)
        dirs.release()


def _line(options: RunOptions, scenario: Scenario, seed: int) -> str:
    return f"play {scenario.id} {seed}"


@pytest.fixture
def campaign(tmp_path: Path) -> Campaign:
    return Campaign(tmp_path)


def _plays(results: list[Result]) -> list[tuple[str, int, int]]:
    return sorted((result.scenario.path.name, result.attempt, result.seed) for result in results)


ALL = sorted((cell.path.name, attempt, 6 + attempt) for cell in CELLS for attempt in (1, 2))


def test_each_play_has_one_result(campaign: Campaign) -> None:
    """With its repetition, its seed and the line that plays it again; the cluster is closed."""
    cluster = FakeCluster(a={}, b={})
    results = campaign(cluster)
    assert _plays(results) == ALL
    assert {result.status for result in results} == {PASSED}
    assert results[0].command == f"play {results[0].scenario.id} {results[0].seed}"
    assert {machine for machine, _ in cluster.sent} == {"a", "b"}
    assert (cluster.opened, cluster.closed) == (1, 1)
    assert campaign.said[-1].startswith("campaign: 2 machines, 12 of 12 results, ")


def test_machines_that_are_unfit_are_left_out_by_name(campaign: Campaign) -> None:
    """Another release, no torch, another torch than most, no namespaces where they are required; the others play."""
    cluster = FakeCluster(
        a={}, b={"harness": "0"}, c={"python": "it has no torch", "torch": ""}, d={"torch": "2.6.0"}, e={},
        f={"isolation": "the kernel refuses"},
    )  # fmt: skip
    assert _plays(campaign(cluster, isolation="private")) == ALL
    assert {machine for machine, _ in cluster.sent} == {"a", "e"}
    said = "\n".join(campaign.said)
    assert "b is left out: its harness is 0, and this one " in said
    assert "c is left out: it has no torch" in said
    assert "d is left out: its torch is 2.6.0, and this campaign plays 2.15.0" in said
    assert "f is left out: --isolation private: the kernel refuses" in said


def test_without_a_fit_machine_all_reasons_are_said(campaign: Campaign) -> None:
    """Before anything is played."""
    cluster = FakeCluster(a={"harness": "0"}, b={"python": "it has no torch"})
    with pytest.raises(HarnessError, match=r"no machine of the cluster is fit:\na: its harness is 0, .*\nb: it has no"):
        campaign(cluster)
    assert cluster.closed == 1


def test_a_play_that_kills_three_workers_is_an_error(campaign: Campaign) -> None:
    """It says so, and is no failure; all others have their results."""
    cluster = FakeCluster(a={})
    deaths = []

    def plays(machine: str, order: MachineOrder) -> Iterator[str]:
        yield '{"shard":"begun"}'
        for play in order.plays:
            yield json.dumps({"begun": play.play})
            if (play.scenario.path, play.attempt) == (CELLS[3].path, 1):
                deaths.append(machine)
                cluster.happens(Joined(f"{machine}+"))
                raise Died
            yield line_of(play)

    cluster._plays = plays
    results = campaign(cluster)
    assert _plays(results) == ALL
    (poison,) = [result for result in results if result.status != PASSED]
    assert (poison.status, poison.scenario.path) == (ERROR, CELLS[3].path)
    assert poison.judgement.because == "three workers died playing it; the last time: it died"
    assert deaths == ["a", "a+", "a++"]


def test_a_campaign_goes_on_where_its_driver_was_killed(campaign: Campaign) -> None:
    """What the ledger has is not played again, and is in the results all the same; without a seed too."""
    begun = campaign.results(FakeCluster(a={}))
    first = [next(begun) for _ in range(3)]
    begun.close()
    recorded = path_in(campaign.folder).read_text().count("\n") - 1
    assert recorded >= len(first)
    cluster = FakeCluster(a={})
    again = campaign(cluster, seed=None)
    assert _plays(again) == ALL
    assert len(cluster.sent) == len(ALL) - recorded
    whole = FakeCluster(a={})
    assert _plays(campaign(whole)) == ALL
    assert whole.sent == []


def test_a_ledger_of_another_seed_is_refused(campaign: Campaign) -> None:
    """Half of its plays would be others."""
    campaign(FakeCluster(a={}))
    with pytest.raises(UsageError, match=r"--seed 8: .* is of seed 7; leave the option out"):
        campaign(FakeCluster(a={}), seed=8)


def test_results_of_other_plays_are_not_used(campaign: Campaign) -> None:
    """Of another torch, for example; it is said."""
    campaign(FakeCluster(a={}))
    cluster = FakeCluster(a={"torch": "2.6.0"})
    assert _plays(campaign(cluster)) == ALL
    assert len(cluster.sent) == len(ALL)
    assert any("12 results are of other plays" in line for line in campaign.said)


def test_a_result_that_comes_twice_counts_once(campaign: Campaign) -> None:
    """As an engine may send it that runs a shard again."""

    def plays(machine: str, order: MachineOrder) -> Iterator[str]:
        for line in lines_of(order):
            yield line
            if "result" in line:
                yield line

    assert _plays(campaign(FakeCluster(plays, a={}))) == ALL
    assert path_in(campaign.folder).read_text().count('"play"') == len(ALL)


MADE_UP = [
    "hello", "[]", "{}", '{"begun": "0000000000000000"}', '{"begun": 7}', '{"result": {"play": "0000000000000000"}}',
    '{"result": 7}', '{"shard":"begun"}', "PLAY", "[" * 5000,
]  # fmt: skip


@pytest.mark.parametrize("line", MADE_UP)
def test_a_machine_that_makes_up_lines_loses_its_shard(campaign: Campaign, line: str) -> None:
    """Nothing of it counts, it is said, and what it was to play is played by others."""
    wrong = []

    def plays(machine: str, order: MachineOrder) -> Iterator[str]:
        if machine != "bad" or wrong:
            yield from lines_of(order)
            return
        wrong.append(machine)
        yield '{"shard":"begun"}'
        yield json.dumps({"result": {"play": order.plays[0].play, "seconds": -1}}) if line == "PLAY" else line

    cluster = FakeCluster(plays, bad={}, good={})
    assert _plays(campaign(cluster)) == ALL
    assert any(line.startswith("bad: it said what no player says (") for line in campaign.said)
    assert len(cluster.cancelled) == 1


def test_facts_that_are_made_up_leave_a_machine_out(campaign: Campaign) -> None:
    """Whatever else it says."""
    cluster = FakeCluster(a={}, bad={"worlds": -1}, worse={"torch": 7})
    assert _plays(campaign(cluster)) == ALL
    assert {machine for machine, _ in cluster.sent} == {"a"}
    assert any(line.startswith("bad is left out: it said what no machine says") for line in campaign.said)


def test_a_machine_that_comes_later_takes_part(campaign: Campaign) -> None:
    """Once it has said its facts."""
    cluster = FakeCluster(a={})

    def plays(machine: str, order: MachineOrder) -> Iterator[str]:
        if machine == "a":
            cluster.happens(Joined("late"))
            raise Died
        yield from lines_of(order)

    cluster._plays = plays
    assert _plays(campaign(cluster)) == ALL
    assert "a is gone: it died" in campaign.said


def test_a_shard_that_fails_is_sent_again(campaign: Campaign) -> None:
    """Three times; then its plays are errors with the reason."""

    def plays(machine: str, order: MachineOrder) -> Iterator[str]:
        yield '{"shard":"begun"}'
        raise Failed("the disk is full")

    results = campaign(FakeCluster(plays, a={}))
    assert _plays(results) == ALL
    assert {result.judgement.because for result in results} == {
        "three workers died playing it; the last time: the disk is full"
    }


def test_a_campaign_without_machines_ends(campaign: Campaign, monkeypatch: pytest.MonkeyPatch) -> None:
    """And says how to go on."""
    monkeypatch.setattr(clustered, "NOBODY_NS", -1)

    def plays(machine: str, order: MachineOrder) -> Iterator[str]:
        yield from ()
        raise Died

    with pytest.raises(HarnessError, match=r"no machine is left.*; go on with --ledger .*ledger\.jsonl"):
        campaign(FakeCluster(plays, a={}))


def test_a_silent_shard_is_lost(campaign: Campaign, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its machine may hang; another plays it, and what comes late counts if it is the first."""
    monkeypatch.setattr(clustered, "SILENT_NS", -(10**15))
    silent = []

    class Silent(FakeCluster):
        def _play(self, ticket: int, machine: str, order: MachineOrder) -> None:
            super()._play(ticket, machine, order)
            if machine == "b" and order.plays and not silent:
                silent.append(ticket)
                while '"begun"' not in getattr(self._events[-1], "line", ""):
                    self._events.pop()

    cluster = Silent(a={}, b={})
    assert _plays(campaign(cluster)) == ALL
    assert silent[0] in cluster.cancelled


def test_until_fail_ends_at_the_first_red(campaign: Campaign) -> None:
    """And closes the cluster."""

    def plays(machine: str, order: MachineOrder) -> Iterator[str]:
        for play in order.plays:
            yield line_of(play, replace(passed(play), judgement=Judgement(FAILED, "rank 1 hung")))

    cluster = FakeCluster(plays, a={})
    assert len(campaign(cluster, until_fail=True)) == 1
    assert cluster.closed == 1


# -- run directories ---------------------------------------------------------------------------------------------------


def _red_plays(machine_dir: Path, archive: Callable[[str], str | None] = lambda packed: packed) -> Any:
    """A machine whose plays are all red, with run directories; `archive` may change what is sent of them."""

    def plays(machine: str, order: MachineOrder) -> Iterator[str]:
        yield '{"shard":"begun"}'
        for play in order.plays:
            run_dir = create_run(machine_dir, play.scenario, {"subject": "static"})
            history = write_history(run_dir, joined(play.scenario))
            judgement = Judgement(FAILED, "rank 1 hung")
            write_judgement(run_dir, judgement)
            red = replace(passed(play), judgement=judgement, history=history, run_dir=run_dir)
            row = json.loads(line_of(play, red))
            row["result"]["archive"] = archive(row["result"]["archive"])
            yield json.dumps(row)

    return plays


def test_run_directories_of_red_results_come_back(campaign: Campaign, tmp_path: Path) -> None:
    """They are read as those of this machine, in this run and in one that goes on."""
    for cluster in (FakeCluster(_red_plays(tmp_path / "machine"), a={}), FakeCluster(a={})):
        results = campaign(cluster, repeat=1)
        assert len(results) == len(CELLS)
        for result in results:
            assert result.run_dir is not None
            assert result.run_dir.parent == campaign.options.runs_dir
            assert json.loads((result.run_dir / "verdict.json").read_text())["because"] == "rank 1 hung"
            assert len(result.history.ops) > 2
        assert len({result.run_dir for result in results}) == len(CELLS)
    assert list((campaign.options.runs_dir / ".arriving").iterdir()) == []
    assert "archive" not in path_in(campaign.folder).read_text()


def _escaping() -> str:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        archive.addfile(tarfile.TarInfo("../../escaped"))
    return base64.b64encode(packed.getvalue()).decode()


@pytest.mark.parametrize("archive", [_escaping(), "no base64!", "", 7, base64.b64encode(b"no archive").decode()])
def test_a_hostile_archive_is_noted_and_its_verdict_stands(campaign: Campaign, tmp_path: Path, archive: Any) -> None:
    """Nothing of it stays, inside the folder of the run directories or outside."""
    results = campaign(FakeCluster(_red_plays(tmp_path / "machine", lambda _: archive), a={}), repeat=1)
    assert {result.status for result in results} == {FAILED}
    for result in results:
        assert result.run_dir is None
        assert result.judgement.notes[-1].startswith("its run directory cannot be used: ")
    assert list(tmp_path.rglob("escaped")) == []
    assert list((campaign.options.runs_dir / ".arriving").glob("*")) == []


def test_a_run_directory_that_is_too_large_is_noted(campaign: Campaign, tmp_path: Path) -> None:
    """The machine sends none."""
    (result, *_) = campaign(FakeCluster(_red_plays(tmp_path / "machine", lambda _: None), a={}), repeat=1)
    assert result.judgement.notes == ("its run directory was too large to be sent, and is gone",)
