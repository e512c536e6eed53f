"""Scenarios written in Python: the keys of a file as arguments, the judged run as the answer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.campaign.runner import Runner
from harness.judge.result import Result
from harness.loader import load_mapping
from harness.values.errors import UsageError
from harness.values.history import History
from harness.values.verdict import Judgement


@dataclass(frozen=True)
class Run:
    """A judged run.

    Attributes:
        verdict: the judgement: `status`, `because`, `verdicts`.
        history: every operation, and the questions one asks of them.
        run_dir: where it lies; `rdzv-harness show` prints it.
    """

    verdict: Judgement
    history: History
    run_dir: Path | None
    result: Result


def play_keys(keys: Mapping[str, Any], name: str, runner: Runner) -> Run:
    """Play what these keys say; raises ScenarioError for keys that make no scenario, UsageError for a matrix."""
    filled = {"schema": "rdzv-scenario/v1", "title": name, **keys}
    cells = load_mapping(filled, name)
    if len(cells) != 1:
        raise UsageError(f"a matrix of {len(cells)} cells in Python; use pytest.mark.parametrize instead")
    result = runner.play(cells[0])
    return Run(result.judgement, result.history, result.run_dir, result)
