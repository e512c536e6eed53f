"""Scenarios of worlds written as text, and what their ranks printed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from harness.judge.result import Result
from harness.loader import load_text
from harness.scenario.scenario import Scenario

HEAD = "schema: rdzv-scenario/v1\ntitle: A claim\n"
ALL_LEAVE = "workload:\n  - {do: rendezvous}\nexpect:\n  - {step: exit, is: ok}\n"


def cell(body: str) -> Scenario:
    """The one cell of a file with this body."""
    (scenario,) = load_text(HEAD + body, Path("claim.rdzv.yaml"))
    return scenario


def cell_of(world: str) -> Scenario:
    """The one cell of a file with this world, in which ranks join and leave."""
    return cell(world + ALL_LEAVE)


def printed(result: Result, rank: int) -> Any:
    """What a rank printed, as JSON, in a run that passed."""
    assert result.run_dir is not None
    assert result.status == "passed", result.judgement.because
    return json.loads((result.run_dir / "logs" / f"rank-{rank}.life-1.log").read_text())
