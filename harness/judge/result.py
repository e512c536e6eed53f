"""One judged run, as reports and people's tests get it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from harness.scenario.scenario import Scenario
from harness.values.history import History
from harness.values.verdict import Judgement


@dataclass(frozen=True)
class Result:
    """A cell, played once and judged.

    Attributes:
        history: empty if it was skipped or never began.
        run_dir: where everything needed to judge again lies; None if nothing was played.
        seconds: from the scenario's being sent to its verdict.
        attempt: which repetition, from 1.
        subject: who was tested; `seed`: the run's seed, to play it again.
        command: the command line that plays just this one.
    """

    scenario: Scenario
    judgement: Judgement
    history: History
    run_dir: Path | None
    seconds: float
    attempt: int = 1
    subject: str = "static"
    seed: int = 0
    command: str = ""

    @property
    def status(self) -> str:
        return self.judgement.status
