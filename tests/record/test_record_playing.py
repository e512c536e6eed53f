"""Playing what a record lacks, with a runner that plays nothing."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from record_parts import scenario

from harness.campaign.source import Source, Trial
from harness.judge.result import Result
from harness.record.document import Results
from harness.record.identity import cell_name, digest
from harness.record.observed import observed
from harness.record.playing import missing, play
from harness.scenario.scenario import Scenario
from harness.values.history import History
from harness.values.ops import ErrorInfo, Op, Process
from harness.values.verdict import ERROR, FAILED, KNOWN, PASSED, SKIPPED, Judgement, Verdict

TORCH = "2.15.0+cu132"
CELL = scenario()
EMPTY = Results(torch=TORCH, subject="static")


def history(message: str = "timed out after 2000ms", seconds: float = 2.0) -> History:
    """Rank 0 joins, rank 1 fails to."""
    failed = ErrorInfo(
        "DistNetworkError", ("DistNetworkError", "DistError", "RuntimeError"), message, ("OSError: reset",)
    )
    ops = []
    for rank, error in ((0, None), (1, failed)):
        who = Process(rank)
        ops.append(Op(0, who, "invoke", "rendezvous", "join"))
        ops.append(Op(round(seconds * 1e9), who, "fail" if error else "ok", "rendezvous", "join", error=error))
    return History.of(ops)


def result(status: str, cell: Scenario = CELL, seed: int = 1, broken: Sequence[str] = (), **more: Any) -> Result:
    verdicts = tuple(Verdict(name, FAILED if name in broken else PASSED) for name in ("in-time", "named"))
    judgement = Judgement(status, "because", verdicts)
    return Result(cell, judgement, more.get("history", history()), Path("r"), 0.1, attempt=seed, seed=seed)


class Runner:
    """Answers trials with statuses, in turn; an exception among them is raised."""

    def __init__(self, answers: Sequence[str | BaseException]) -> None:
        self.answers = list(answers)
        self.played: list[tuple[str, int | None]] = []

    def run_source(self, source: Source) -> Iterator[Result]:
        results: list[Result] = []
        while (trials := source.next(results)) is not None:
            results = []
            for trial in trials:
                self.played.append((trial.scenario.name, trial.seed))
                answer = self.answers.pop(0) if self.answers else PASSED
                if isinstance(answer, BaseException):
                    raise answer
                results.append(result(answer, trial.scenario, trial.seed or 0))
                yield results[-1]


def played(runner: Runner, results: Results, trials: Sequence[Trial]) -> Results:
    """The record as it was stored last."""
    kept = [results]
    play(runner, results, trials, kept.append, lambda line: None, lambda: 0, at_once=2)
    return kept[-1]


def test_each_cell_is_played_with_the_seeds_from_1() -> None:
    """Round after round, so that each cell has a play early."""
    other = replace(CELL, path=Path("scenarios/timeouts/another.rdzv.yaml"))
    runner = Runner([])
    found = played(runner, EMPTY, missing(EMPTY, [CELL, other], 2))
    assert runner.played == [(CELL.name, 1), (other.name, 1), (CELL.name, 2), (other.name, 2)]
    assert [len(found.plays(cell_name(cell), digest(cell))) for cell in (CELL, other)] == [2, 2]
    assert missing(found, [CELL, other], 2) == []
    assert [trial.seed for trial in missing(found, [CELL], 3)] == [3]


def test_an_interrupted_record_goes_on_where_it_was() -> None:
    """What was played is kept, and nothing of it is played again."""
    kept: list[Results] = []
    runner = Runner([PASSED, PASSED, KeyboardInterrupt()])
    with pytest.raises(KeyboardInterrupt):
        play(runner, EMPTY, missing(EMPTY, [CELL], 5), kept.append, lambda line: None, lambda: 0)
    assert [trial.seed for trial in missing(kept[-1], [CELL], 5)] == [3, 4, 5]


def test_it_is_stored_now_and_then() -> None:
    """A SIGKILL loses the plays of some seconds."""
    clock = iter(range(0, 10**13, 6_000_000_000))
    kept: list[Results] = []
    lines: list[str] = []
    play(Runner([]), EMPTY, missing(EMPTY, [CELL], 6), kept.append, lines.append, lambda: next(clock))
    assert len(kept) > 2
    assert lines[0].startswith(f"static, torch {TORCH}: ")


def test_what_says_nothing_is_played_again() -> None:
    """And why it did is counted; what this machine cannot play is another's."""
    progress = play(
        Runner([ERROR, SKIPPED, PASSED]), EMPTY, missing(EMPTY, [CELL], 3), lambda kept: None, print, lambda: 0
    )
    stored = progress.results.plays(cell_name(CELL), digest(CELL))
    assert sorted(one.status for one in stored.values()) == [ERROR, PASSED]
    assert progress.reasons() == ["1 x error: because", "1 x skipped: because"]
    assert [trial.seed for trial in missing(progress.results, [CELL], 3)] == [1, 2]


def test_a_cell_that_needs_another_torch_is_not_played() -> None:
    """It is not applicable."""
    needy = replace(CELL, needs={"torch": ">=2.16"})
    assert missing(EMPTY, [needy], 1) == []


def test_a_claim_is_kept_with_the_ends_of_its_calls() -> None:
    """Each different end once, with the chain of classes, the normal message, a raw sample, and the longest time."""
    play_, outcomes = observed(result(KNOWN, broken=["in-time"]), "id-1")
    assert (play_.status, play_.broken) == (KNOWN, ("in-time",))
    of, seconds = play_.claims["in-time"]
    assert seconds == 2.0
    assert [(end.outcome, end.classes, end.message) for end in outcomes[of].calls] == [
        ("failed", ("DistNetworkError", "OSError"), "timed out after <time>"),
        ("ok", (), ""),
    ]
    assert (outcomes[of].sample, outcomes[of].play) == (("timed out after 2000ms",), "id-1")


def test_the_marks_of_a_play_make_no_other_outcome() -> None:
    """Two plays whose messages differ in a duration and an address have one key."""
    one, _ = observed(result(KNOWN, history=history("after 2000ms at 10.0.0.1:29500")), "a")
    other, _ = observed(result(KNOWN, history=history("after 2s at [::1]:4711")), "b")
    assert one.claims["in-time"].of == other.claims["in-time"].of


def test_a_play_that_says_nothing_has_only_its_reason() -> None:
    """Its claims would be taken for evidence."""
    one, outcomes = observed(result(ERROR), "a")
    assert (one.status, one.because, dict(one.claims), dict(outcomes)) == (ERROR, "because", {}, {})
