"""Without a Docker engine, scenarios of containers are skipped, and a CI job that requires one fails."""

from __future__ import annotations

from pathlib import Path

import pytest
from bodies import cell_of

from harness.campaign.runner import Runner
from harness.play.options import RunOptions


@pytest.mark.parametrize(("require", "status"), [((), "skipped"), (("engine",), "error")])
def test_a_scenario_of_containers_tells_why_it_cannot_play(
    require: tuple[str, ...], status: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is skipped with the reason and what to do; it is an error if `engine` is required."""
    monkeypatch.setenv("DOCKER_HOST", "unix:///no/engine.sock")
    with Runner(RunOptions(subject="echo", runs_dir=tmp_path, jobs=1, require=frozenset(require))) as runner:
        result = runner.play(cell_of("world: {size: 2, timeout: 2s, kind: containers}\n"))
    assert result.status == status
    assert "there is no /no/engine.sock, which DOCKER_HOST names; correct DOCKER_HOST or unset it" in (
        result.judgement.because
    )
