"""Faults that only Docker does to containers: disconnect, restart_host, memory_limit, cpu_limit; in real plays."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from harness.campaign.runner import Runner
from harness.faults.base import FAULTS
from harness.judge.result import Result
from harness.loader import load_text
from harness.machine.docker.engine import DockerEngine
from harness.play.needs import unmet_by_world
from harness.play.options import RunOptions
from harness.scenario.scenario import Scenario

pytestmark = pytest.mark.needs_toxiproxy

Play = Callable[[str], Result]

HEAD = "schema: rdzv-scenario/v1\ntitle: What an engine does to containers\n"
DIRECT = "world: {size: 2, timeout: 10s, guard: 60s, route: direct}\n"
JOIN = "workload:\n  - {id: join, do: rendezvous}\n"


@pytest.fixture(scope="module")
def play(docker_engine: DockerEngine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Play]:
    """Plays worlds of containers whose ranks need no torch."""
    options = RunOptions(
        subject="echo", python=sys.executable, world="containers", jobs=1, runs_dir=tmp_path_factory.mktemp("runs")
    )
    with Runner(options) as runner:
        yield lambda body: runner.play(cell(body))


def cell(body: str) -> Scenario:
    """The one cell of a file with this body."""
    (scenario,) = load_text(HEAD + body, Path("engine.rdzv.yaml"))
    return scenario


def found(result: Result) -> Mapping[str, Any]:
    """The record of what the one fault of a play touched."""
    (healed,) = [op.value for op in result.history if op.f == "heal" and op.type != "invoke"]
    assert isinstance(healed, Mapping)
    return healed


# -- disconnect --------------------------------------------------------------------------------------------------------


def test_a_disconnected_host_is_silent_until_it_is_connected_again(play: Play):
    """An open connection hangs, and goes on afterwards; the host has its old address again."""
    result = play(
        DIRECT
        + JOIN
        + "  - {id: ask, do: check, key: ready, ranks: 1, after: cut}\n"
        + "  - {id: later, do: check, key: ready, ranks: 1}\n"
        + "faults:\n  - {id: cut, inject: disconnect, ranks: 0, after: join, for: 1500ms}\n"
        + "expect:\n  - {step: ask, is: ok, within: [1s, 15s]}\n  - {step: later, is: ok, within: 1s}\n"
    )
    assert result.status == "passed", result.judgement.because
    assert found(result)["touched"] is True
    assert found(result)["facts"]["left_hanging"] >= 1


def test_a_host_that_nobody_speaks_with_is_not_touched_by_its_cut(play: Play):
    """Rank 2 never starts: the cell is vacuous, not passed."""
    result = play(
        "world: {size: 3, timeout: 5s, route: direct, ranks: {0: {world_size: 2}, 1: {world_size: 2}, "
        "2: {start: never}}}\n" + JOIN + "faults:\n  - {inject: disconnect, ranks: 2}\nexpect:\n"
        "  - {step: join, ranks: [0, 1], is: ok}\n"
    )
    assert (result.status, found(result)["touched"]) == ("vacuous", False)


# -- restart_host ------------------------------------------------------------------------------------------------------


def test_a_restarted_host_has_forgotten_everything(play: Play):
    """Its rank starts again under the old name and address, and what it had stored is gone."""
    result = play(
        DIRECT
        + JOIN
        + "  - {id: write, do: set, ranks: 0, life: 1, key: kept, value: x}\n"
        + "  - {id: again, do: rendezvous, ranks: 1, after: {step: join, ranks: 0, life: 2, is: begun}}\n"
        + "  - {id: ask, do: check, key: kept, ranks: 1}\n"
        + "faults:\n  - {inject: restart_host, ranks: 0, after: write, for: 200ms}\n"
        + "expect:\n  - {step: join, ranks: 0, life: 2, is: ok}\n  - {step: exit, ranks: 0, life: 1, is: died}\n"
        + "  - {step: ask, is: ok, value: false}\n"
    )
    assert result.status == "passed", result.judgement.because
    facts = found(result)["facts"]
    assert (facts["hosts"], [one["life"] for one in facts["processes"]]) == (["r0"], [1])


def test_open_connections_to_a_stopped_host_are_told_its_end(play: Play):
    """A client that waits for an answer gets the end at once, before its own timeout; a later client gets no answer."""
    result = play(
        DIRECT
        + JOIN
        + "  - {id: ask, do: get, key: never, ranks: 1}\n"
        + "  - {id: again, do: rendezvous, ranks: 1, handler: late, timeout: 2s}\n"
        + "faults:\n  - {inject: restart_host, ranks: 0, after: {step: ask, is: begun, plus: 200ms}}\n"
        + "expect:\n  - {step: ask, is: failed, within: 5s}\n  - {step: again, is: failed, within: [2s, 5s]}\n"
    )
    assert result.status == "passed", result.judgement.because


def test_whoever_shares_a_host_ends_with_it(play: Play):
    """Two masters share one host, and the fault names one of them: both end, and neither is a crash."""
    result = play(
        "world: {size: 2, timeout: 5s, route: direct, ranks: {0: {world_size: 1}, "
        "1: {as_rank: 0, world_size: 1, run_id: other, port: 29777}}}\n"
        + JOIN
        + "faults:\n  - {inject: restart_host, ranks: 0, after: join}\n"
        + "expect:\n  - {step: exit, is: died}\n"
    )
    assert result.status == "passed", result.judgement.because
    assert [one["rank"] for one in found(result)["facts"]["processes"]] == [0, 1]


def test_a_play_after_a_stopped_host_finds_it_as_new(play: Play):
    """The next play sees nothing of the one before."""
    play(DIRECT + JOIN + "faults:\n  - {inject: restart_host, ranks: 1, after: join}\nexpect:\n  - {step: join}\n")
    result = play(DIRECT + JOIN + "expect:\n  - {step: join, is: ok}\n")
    assert result.status == "passed", result.judgement.because


# -- memory_limit ------------------------------------------------------------------------------------------------------


def test_the_kernel_kills_a_rank_whose_memory_is_full(play: Play):
    """SIGKILL ends it, as Docker confirms; the other rank's connection ends, and there is no crash."""
    result = play(
        DIRECT
        + JOIN
        + "  - {id: ask, do: check, key: ready, ranks: 1, after: full}\n"
        + "faults:\n  - {id: full, inject: memory_limit, ranks: 0, after: join}\n"
        + "expect:\n  - {step: exit, ranks: 0, is: died}\n  - {step: ask, is: failed}\n"
    )
    assert result.status == "passed", result.judgement.because
    assert found(result)["touched"] is True
    (container,) = found(result)["facts"]["containers"]
    assert container["limit_bytes"] == container["used_bytes"] + (16 << 20)
    assert container["killed_for_memory"] is True
    (died,) = [call for call in result.history.calls_of("exit") if call.outcome == "died"]
    assert died.end.value["signal"] == 9
    assert result.run_dir is not None
    assert "its memory was full" in (result.run_dir / "logs" / "rank-0.life-1.log").read_text()


def test_a_rank_that_ran_out_of_memory_starts_again_with_its_usual_limit(play: Play):
    """Its next life is in a new container."""
    result = play(
        DIRECT
        + JOIN
        + "  - {id: again, do: rendezvous, ranks: 1, after: {step: join, ranks: 0, life: 2, is: begun}}\n"
        + "faults:\n  - {inject: memory_limit, ranks: 0, spare: 4MiB, after: join, for: 100ms}\n"
        + "expect:\n  - {step: join, ranks: 0, life: 2, is: ok}\n  - {step: again, is: ok}\n"
    )
    assert result.status == "passed", result.judgement.because


# -- cpu_limit ---------------------------------------------------------------------------------------------------------


def test_a_throttled_rank_is_slow_and_then_quick_again(play: Play):
    """Rank 0 answers some hundred questions in a millisecond of each half second; then as before."""
    result = play(
        DIRECT
        + JOIN
        + "  - {id: ask, do: check, key: ready, ranks: 1, times: 100, after: slow}\n"
        + "  - {id: later, do: check, key: ready, ranks: 1, times: 100, after: {fault: slow, is: healed}}\n"
        + "faults:\n  - {id: slow, inject: cpu_limit, ranks: 0, run: 1ms, every: 500ms, after: join, until: ask}\n"
        + "expect:\n  - {step: ask, is: ok}\n  - {step: later, is: ok}\n"
    )
    assert result.status == "passed", result.judgement.because
    assert found(result)["touched"] is True
    kept_ns = found(result)["facts"]["throttled_ns"]["0"]
    slow, quick = (took_ns(result, step) for step in ("ask", "later"))
    assert kept_ns > 400_000_000
    assert slow > 400_000_000
    assert quick < slow


def test_a_world_ends_although_a_rank_gets_no_processor(play: Play):
    """The limit is lifted before anything else is done to the rank."""
    result = play(
        DIRECT
        + JOIN
        + "  - {id: ask, do: check, key: ready, ranks: 1, times: 100, after: slow}\n"
        + "faults:\n  - {id: slow, inject: cpu_limit, ranks: 0, after: join}\n"
        + "expect:\n  - {step: ask, is: ok}\n  - {step: exit, is: ok}\n"
    )
    assert result.status == "passed", result.judgement.because


def test_a_limit_may_outlive_its_rank(play: Play):
    """The rank ends while it is limited, at the very moment of the healing."""
    result = play(
        DIRECT
        + JOIN
        + "  - {id: leave, do: exit, ranks: 1, after: slow}\n"
        + "faults:\n  - {id: slow, inject: cpu_limit, ranks: 1, run: 1ms, every: 100ms, after: join, until: leave}\n"
        + "expect:\n  - {step: leave, is: ok}\n"
    )
    assert result.status == "passed", result.judgement.because


def test_a_quota_longer_than_its_period_is_refused():
    """Such a quota would limit nothing."""
    problems = FAULTS["cpu_limit"].problems({"run": 2_000_000, "every": 1_000_000})
    assert len(problems) == 1


# -- other worlds ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["disconnect", "restart_host", "memory_limit", "cpu_limit"])
def test_worlds_without_an_engine_name_the_one_that_has_it(kind: str):
    """The cell is skipped, and the reason names the world that has these faults."""
    unmet = unmet_by_world(
        cell(DIRECT + JOIN + f"faults:\n  - {{inject: {kind}, ranks: 0, after: join}}\nexpect:\n  - {{step: join}}\n")
    )
    assert unmet is not None
    assert "give --world containers" in unmet[1]


def took_ns(result: Result, step: str) -> int:
    """The time from the start of a step's first call to the end of its last."""
    ops = [op for op in result.history if op.step == step and op.process.rank is not None]
    return ops[-1].time_ns - ops[0].time_ns
