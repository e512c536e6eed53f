"""One judged run, as reports and users' tests get it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from harness.history.time_to_error import TimeToError
from harness.history.waiting import Waits
from harness.scenario.scenario import Scenario
from harness.values.history import History
from harness.values.verdict import Judgement


@dataclass(frozen=True)
class Result:
    """A cell, played once and judged.

    Attributes:
        history: empty if it was skipped or never began.
        run_dir: the directory with everything needed to judge it again; None if nothing was played.
        seconds: from the start of the cell to its verdict.
        attempt: the repetition, from 1.
        subject: the subject that was tested.
        seed: the seed of the run, to play it again.
        command: the command line that plays this cell alone.
        times_to_error: of the calls that had a timeout and did not return.
        origin: what `run.json` says of when, where and what was played: `started_at` (ISO 8601, UTC), `machine`
            (see `harness.machine.facts`), `ranks` (their torch and python), `play` (see `harness.archive.play_id`);
            empty if nothing was played, or if a release that stored none of this played it.
        disturbed: of each earlier play that said nothing, which part of the harness stood still, or which claim
            lateness decided, and its run directory.
        waits: who waited for whom, where the history is no longer whole; None: the history tells.
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
    times_to_error: tuple[TimeToError, ...] = ()
    origin: Mapping[str, Any] = field(default_factory=dict)
    disturbed: tuple[str, ...] = ()
    waits: Waits | None = None

    @property
    def status(self) -> str:
        return self.judgement.status
