"""A session of the explorer with plays that need no processes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from fake_parts import FakeKnowledge, FakeLibrary

from harness.campaign.source import Trial
from harness.explore.draft import CANARY, LANES
from harness.explore.explorer import Explorer
from harness.explore.parts import Parts, Settings
from harness.explore.tally import Tally
from harness.judge.judge import judge
from harness.judge.result import Result
from harness.scenario.scenario import Scenario
from harness.values.history import History

ALL = tuple(lane for lane in LANES if lane != CANARY)


class Session:
    """Plays what an explorer gives at once, so many trials side by side, on a clock that each look moves.

    Attributes:
        forgotten: the run directories that are needed no longer.
        results: of all plays.
    """

    def __init__(self, plays: Callable[[Scenario], History], jobs: int) -> None:
        self.forgotten: list[Path] = []
        self.results: list[Result] = []
        self.now_ns = 0
        self.tick_ns = 0
        self._plays, self._jobs = plays, jobs

    def _look(self) -> int:
        self.now_ns += self.tick_ns
        return self.now_ns

    def explorer(self, parts: Parts, **settings: object) -> Explorer:
        chosen = Settings(**{"seed": 1, "lanes": ALL, **settings})  # type: ignore[arg-type]
        return Explorer(parts, chosen, self.forgotten.append, self._look)

    def play(self, parts: Parts, most: int = 2000, **settings: object) -> Tally:
        """Until it ends, or has played so many times."""
        self.source = self.explorer(parts, **settings)
        running: list[Trial] = []
        new: list[Result] = []
        while len(self.results) < most:
            trials = self.source.next(new)
            if trials is None:
                break
            running += trials
            new = [self._result(running.pop(0))] if running and (not trials or len(running) >= self._jobs) else []
            assert trials or new
            self.results += new
        return self.source.tally

    def _result(self, trial: Trial) -> Result:
        history = self._plays(trial.scenario)
        run_dir = Path(f"run-{len(self.results)}")
        judgement = judge(trial.scenario, history)
        subject = trial.subject or "echo"
        return Result(trial.scenario, judgement, history, run_dir, 0.1, subject=subject, seed=trial.seed or 0)


MakeSession = Callable[..., Session]


def knowledge_of(parts: Parts) -> FakeKnowledge:
    assert isinstance(parts.knowledge, FakeKnowledge)
    return parts.knowledge


def library_of(parts: Parts) -> FakeLibrary:
    assert isinstance(parts.library, FakeLibrary)
    return parts.library
