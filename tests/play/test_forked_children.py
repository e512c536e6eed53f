"""fork_child: a child keeps the listening socket and outlives its rank, but never its play (F04)."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.campaign.runner import Runner
from harness.judge.result import Result
from harness.loader import load_text
from harness.play.options import RunOptions

SCENARIO = """\
schema: rdzv-scenario/v1
title: A dead master's port listens on
world:
  size: 2
  timeout: 1s
  route: direct
  ranks:
    1: {as_rank: 0, world_size: 1, start: {fault: kill, is: injected}}
workload:
  - {do: rendezvous, ranks: 0, world_size: 1}
  - {id: fork, do: fork_child, ranks: 0}
  - {do: sleep, ranks: 0, for: 20s}
  - {id: heir, do: bind, ranks: 1}
faults:
  - {inject: kill, ranks: 0, after: fork}
expect:
  - {step: heir, is: failed, error: TimeoutError, message: address already in use}
"""


def played(text: str, world: str, runs_dir: Path, isolation: str = "auto") -> Result:
    """Play the file's one cell, with the subject that needs no torch."""
    (scenario,) = load_text(text, Path("claim.rdzv.yaml"))
    with Runner(RunOptions(subject="echo", world=world, isolation=isolation, runs_dir=runs_dir, jobs=1)) as runner:
        result = runner.play(scenario)
    if result.status == "skipped":
        pytest.skip(result.judgement.because)
    return result


@pytest.mark.parametrize(("world", "isolation"), [("processes", "auto"), ("processes", "host"), ("namespaces", "auto")])
def test_its_port_is_taken_when_the_rank_is_dead_and_free_after_the_play(world: str, isolation: str, tmp_path: Path):
    """Only the rank was killed, so the child alone has the port; the play leaves nothing of it behind."""
    result = played(SCENARIO, world, tmp_path, isolation)
    assert result.status == "passed", result.judgement.because


def test_it_ends_by_itself_when_its_time_is_over(tmp_path: Path):
    """Then the port is free again while the play goes on."""
    short = SCENARIO.replace("do: fork_child", "do: fork_child, for: 100ms").replace("timeout: 1s", "timeout: 10s")
    claim = short[: short.index("expect")] + "expect:\n  - {step: heir, is: ok}\n"
    assert played(claim, "processes", tmp_path).status == "passed"


def test_a_rank_that_leaves_in_peace_leaves_no_child_behind(tmp_path: Path):
    """The standing invariant looks for processes and for listeners."""
    peaceful = SCENARIO[: SCENARIO.index("  - {do: sleep")] + "expect:\n  - {step: exit, ranks: 0, is: ok}\n"
    result = played(peaceful.replace("start: {fault: kill, is: injected}", "start: never"), "processes", tmp_path)
    assert result.status == "passed", result.judgement.because
    assert [call.outcome for call in result.history.calls if call.step == "fork"] == ["ok"]
