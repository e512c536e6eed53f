"""Playing what a record lacks: a source of the plays that are missing, and the loop that keeps what was played."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from itertools import islice
from typing import Protocol

from harness.campaign.source import Source, Trial
from harness.judge.result import Result
from harness.record.document import Outcome, Play, Results, merged
from harness.record.identity import cell_name, digest, record_id
from harness.record.observed import observed
from harness.record.words import applies
from harness.scenario.scenario import Scenario
from harness.values.verdict import SKIPPED

SAVED_EVERY_NS = 10_000_000_000
"""A record that is interrupted by SIGKILL loses what was played since it was saved last."""

SAID_EVERY_NS = 15_000_000_000

Keep = Callable[[Results], None]
Say = Callable[[str], None]


class Playing(Protocol):
    """What is needed of a runner."""

    def run_source(self, source: Source) -> Iterator[Result]: ...


class Listed:
    """A source that gives trials in their order, some at a time, and ends when all have their results."""

    def __init__(self, trials: Sequence[Trial], at_once: int) -> None:
        self._trials = iter(trials)
        self._at_once = max(at_once, 1)
        self._awaited = 0

    def next(self, results: Sequence[Result]) -> Sequence[Trial] | None:
        self._awaited -= len(results)
        trials = tuple(islice(self._trials, self._at_once))
        self._awaited += len(trials)
        return trials if self._awaited else None


def missing(results: Results, cells: Sequence[Scenario], repeat: int) -> list[Trial]:
    """The trials that a record lacks: each cell `repeat` times, with the seeds 1 to `repeat`.

    A play that says nothing is played again; a cell that is not about this torch is not played.
    """
    return [
        Trial(cell, attempt, seed=attempt)
        for attempt in range(1, repeat + 1)
        for cell in cells
        if applies(cell, results.torch) and not _has(results, cell, attempt)
    ]


def _has(results: Results, cell: Scenario, seed: int) -> bool:
    play = results.plays(cell_name(cell), digest(cell)).get(record_id(cell, seed, results.torch, results.subject))
    return play is not None and play.is_conclusive


class _Gathered:
    """Plays that are not merged yet."""

    def __init__(self, results: Results) -> None:
        self._results = results
        self._cells: dict[str, dict[str, dict[str, Play]]] = {}
        self._outcomes: dict[str, Outcome] = {}

    def add(self, scenario: Scenario, id: str, play: Play, outcomes: Mapping[str, Outcome]) -> None:
        self._cells.setdefault(cell_name(scenario), {}).setdefault(digest(scenario), {})[id] = play
        for key, outcome in outcomes.items():
            held = self._outcomes.get(key)
            self._outcomes[key] = outcome if held is None or outcome.play < held.play else held

    def merge(self) -> Results:
        """Everything so far."""
        held = self._results
        fresh = Results(torch=held.torch, subject=held.subject, cells=self._cells, outcomes=self._outcomes)
        self._results = merged(held, fresh)
        self._cells, self._outcomes = {}, {}
        return self._results


@dataclass
class Progress:
    """How far the plays of one torch and one subject are.

    Attributes:
        begun_ns: when they began.
        nothing: how many plays said nothing, by their status and why.
    """

    results: Results
    total: int
    begun_ns: int
    done: int = 0
    nothing: Counter[tuple[str, str]] = field(default_factory=Counter)

    def count(self, play: Play) -> None:
        """One play more."""
        self.done += 1
        if not play.is_conclusive:
            self.nothing[play.status, play.because] += 1

    @property
    def unsettled(self) -> int:
        """How many plays said nothing that another call may settle here: what this machine cannot play stays so."""
        return sum(count for (status, _), count in self.nothing.items() if status != SKIPPED)

    def sentence(self, now_ns: int) -> str:
        """`static, torch 2.15.0: 120 of 1705 (7 %), 2 without a verdict, about 42 min left`."""
        elapsed_min = (now_ns - self.begun_ns) / 60e9
        left = f", about {elapsed_min / self.done * (self.total - self.done):.0f} min left" if self.done else ""
        empty = self.nothing.total()
        without = f", {empty} without a verdict" if empty else ""
        share = f"{self.done} of {self.total} ({100 * self.done // max(self.total, 1)} %)"
        return f"{self.results.subject}, torch {self.results.torch}: {share}{without}{left}"

    def reasons(self) -> list[str]:
        """Why plays said nothing, the most frequent first."""
        return [f"{count} x {status}: {why}" for (status, why), count in self.nothing.most_common()]


class Keeper:
    """Takes plays of one torch and one subject into its record; a context manager that keeps what it has at the end.

    Args:
        total: how many plays there will be.
        keep: stores the record; called again and again.
    """

    def __init__(self, results: Results, total: int, keep: Keep, now_ns: Callable[[], int]) -> None:
        self.progress = Progress(results, total, now_ns())
        self._gathered = _Gathered(results)
        self._keep = keep
        self._now_ns = now_ns
        self._saved_ns = now_ns()

    def __enter__(self) -> Keeper:
        return self

    def __exit__(self, *_: object) -> None:
        self.progress.results = self._gathered.merge()
        self._keep(self.progress.results)

    def take(self, scenario: Scenario, id: str, play: Play, outcomes: Mapping[str, Outcome]) -> None:
        """One play more."""
        self.progress.count(play)
        if play.status != SKIPPED:  # another machine may be able to play it
            self._gathered.add(scenario, id, play, outcomes)
        if self._now_ns() - self._saved_ns >= SAVED_EVERY_NS:
            self._keep(self._gathered.merge())
            self._saved_ns = self._now_ns()


def play(
    runner: Playing,
    results: Results,
    trials: Sequence[Trial],
    keep: Keep,
    say: Say,
    now_ns: Callable[[], int],
    at_once: int = 64,
) -> Progress:
    """Play trials into a record; however it ends, what was played is kept, so that a next call goes on.

    Args:
        keep: stores the record; called again and again.
        say: is given a line now and then.

    Raises what the runner and `keep` raise.
    """
    said_ns = now_ns()
    with (
        Keeper(results, len(trials), keep, now_ns) as keeper,
        closing(_plays(runner, trials, at_once)) as plays,
    ):
        for result in plays:
            id = record_id(result.scenario, result.seed, results.torch, results.subject)
            keeper.take(result.scenario, id, *observed(result, id))
            if now_ns() - said_ns >= SAID_EVERY_NS:
                said_ns = now_ns()
                say(keeper.progress.sentence(said_ns))
    return keeper.progress


def _plays(runner: Playing, trials: Sequence[Trial], at_once: int) -> Generator[Result, None, None]:
    yield from runner.run_source(Listed(trials, at_once))
