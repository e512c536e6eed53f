"""The lanes of the picture of a run: the nemesis, the store, and each thread of each rank."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from harness.history.joins import joins
from harness.reports.parts.safe import one_line
from harness.values.history import History
from harness.values.ops import NEMESIS, Process

NEMESIS_LANE, STORE_LANE = 0, 1
NO_LANE = -1
"""Of what the controller did itself: it has no lane."""

_MAIN = "main"
LONGEST_THREAD = 80


@dataclass(frozen=True)
class Lanes:
    """All lanes in the order in which they are shown.

    Attributes:
        of_threads: the lane of each thread of each rank; all lives of a rank share it.
        master: the process that serves the store; None if no process, or more than one, was given rank 0.
    """

    of_threads: Mapping[tuple[int, str], int]
    master: int | None

    @classmethod
    def of(cls, history: History, size: int) -> Lanes:
        """The lanes of a history; a rank that did nothing has one too."""
        threads = {(rank, _MAIN) for rank in range(size)}
        threads |= {(op.process.rank, op.process.thread) for op in history if op.process.rank is not None and op.step}
        ordered = sorted(threads, key=lambda one: (one[0], one[1] != _MAIN, one[1]))
        masters = {join.call.rank for join in joins(history) if join.is_master}
        master = next(iter(masters)) if len(masters) == 1 else None
        return cls({thread: number for number, thread in enumerate(ordered, STORE_LANE + 1)}, master)

    def of_process(self, process: Process) -> int:
        """The lane of a process; what a rank reports of itself lies in that of its main thread."""
        if process.rank is None:
            return NEMESIS_LANE if process.thread == NEMESIS else NO_LANE
        own = self.of_threads.get((process.rank, process.thread))
        return self.of_threads.get((process.rank, _MAIN), NO_LANE) if own is None else own

    def of_ranks(self, ranks: Iterable[int]) -> list[int]:
        """Every lane of these ranks."""
        wanted = frozenset(ranks)
        return [lane for (rank, _), lane in self.of_threads.items() if rank in wanted]

    def to_json(self) -> list[dict[str, Any]]:
        threads = [
            {"kind": "rank", "rank": rank, "thread": one_line(thread, LONGEST_THREAD)}
            for rank, thread in self.of_threads
        ]
        return [{"kind": "nemesis"}, {"kind": "store", "rank": self.master}, *threads]
