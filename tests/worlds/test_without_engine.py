"""Where there is no Docker engine, scenarios of containers say so, and a CI that requires one goes red."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.campaign.runner import Runner
from harness.loader import load_text
from harness.play.options import RunOptions

JOIN = """schema: rdzv-scenario/v1
title: Two ranks join
world: {size: 2, timeout: 2s, kind: containers}
workload:
  - {id: join, do: rendezvous}
expect:
  - {step: join, is: ok}
"""


@pytest.mark.parametrize(("require", "status"), [((), "skipped"), (("engine",), "error")])
def test_a_scenario_of_containers_tells_why_it_cannot_play(
    require: tuple[str, ...], status: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Skipped with the reason and what to do; an error where `engine` is required."""
    monkeypatch.setenv("DOCKER_HOST", "unix:///no/engine.sock")
    with Runner(RunOptions(subject="echo", runs_dir=tmp_path, jobs=1, require=frozenset(require))) as runner:
        (scenario,) = load_text(JOIN, tmp_path / "join.rdzv.yaml")
        result = runner.play(scenario)
    assert result.status == status
    assert "there is no /no/engine.sock, which DOCKER_HOST names; correct DOCKER_HOST or unset it" in (
        result.judgement.because
    )
