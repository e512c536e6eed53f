"""What is played next: a source gives trials and gets their results; the queue between it and the worlds."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Protocol

from harness.judge.result import Result
from harness.scenario.scenario import Scenario
from harness.values.errors import HarnessError
from harness.values.verdict import KNOWN, PASSED, SKIPPED


@dataclass(frozen=True)
class Trial:
    """A cell that is to be played once.

    Attributes:
        attempt: which repetition of the cell, from 1.
        seed: of the play; None is the run's seed + attempt - 1, so that repetitions differ and can be played again.
        subject: in place of the run's; a backend that needs the same interpreter.
        disturbed: of each earlier play of this trial that said nothing, what disturbed it.
    """

    scenario: Scenario
    attempt: int = 1
    seed: int | None = None
    subject: str | None = None
    disturbed: tuple[str, ...] = ()


class Source(Protocol):
    """Decides what is played, by the results so far if it wants to.

        next([]) ──▶ trials ──▶ worlds ──▶ results ──▶ next(results) ──▶ trials ──▶ ... ──▶ None

    Exploration, shrinking and repetition are sources.
    """

    def next(self, results: Sequence[Result]) -> Sequence[Trial] | None:
        """The trials to play now; called whenever there are fewer than worlds to play them in.

        Args:
            results: those since the last call, in the order in which plays ended. Each result comes once.

        An empty answer means nothing for the moment; the source is called again when the next play has ended. To
        answer with nothing while nothing is played is an error.

        None means that the source has ended: trials that have not begun are not played any more, and it is not called
        again. Plays that are under way end and are reported, but not to the source. So a source that wants all its
        trials played answers with nothing until all their results have come, as `Repeats` does.

        A source that decides by each result gives one trial at a time; it is called again at once for the next world.
        """


class Repeats:
    """Plays each cell a number of times.

    Args:
        repeat: how often at most.
        until_fail: end at the first result that is not as expected.
    """

    def __init__(self, cells: Sequence[Scenario], repeat: int = 1, until_fail: bool = False) -> None:
        self._trials = (Trial(cell, attempt) for attempt in range(1, repeat + 1) for cell in cells)
        # All cells side by side, because the pool plays those first for which it has room.
        self._at_once = 1 if until_fail else len(cells)
        self._until_fail = until_fail
        self._awaited = 0

    def next(self, results: Sequence[Result]) -> Sequence[Trial] | None:
        self._awaited -= len(results)
        if self._until_fail and any(result.status not in (PASSED, KNOWN, SKIPPED) for result in results):
            return None
        trials = tuple(islice(self._trials, self._at_once))
        self._awaited += len(trials)
        return trials if self._awaited else None


class Given:
    """Plays trials, each once."""

    def __init__(self, trials: Sequence[Trial]) -> None:
        self._trials = tuple(trials)
        self._awaited = 0

    def next(self, results: Sequence[Result]) -> Sequence[Trial] | None:
        trials, self._trials = self._trials, ()
        self._awaited += len(trials) - len(results)
        return trials if self._awaited else None


class Queue:
    """The trials that a source has given and that have not begun, and the results that it has not seen yet.

    Args:
        room: how many trials may be played or wait before the source is asked for more.
        prepare: applied to each trial when it comes.
    """

    def __init__(self, source: Source, room: int, prepare: Callable[[Trial], Trial] = lambda trial: trial) -> None:
        self.waiting: deque[Trial] = deque()
        self._source = source
        self._room = room
        self._prepare = prepare
        self._results: list[Result] = []
        self._ended = False

    def add_result(self, result: Result) -> None:
        """Keep a result for the source's next call."""
        self._results.append(result)

    def fill(self, running: int) -> bool:
        """Ask the source while there is room; returns whether anything waits or is being played.

        Args:
            running: how many trials are being played.

        Raises HarnessError if the source waits for results that will never come.
        """
        while not self._ended and running + len(self.waiting) < self._room:
            results, self._results = self._results, []
            trials = self._source.next(results)
            if trials is None:
                self._ended = True
                self.waiting.clear()
            elif not trials:
                break
            else:
                self.waiting.extend(map(self._prepare, trials))
        if not (self.waiting or running or self._ended):
            raise HarnessError(
                f"{type(self._source).__name__} gives nothing to play, and nothing is being played whose result it "
                "could wait for; a source that has ended must return None"
            )
        return bool(self.waiting or running)
