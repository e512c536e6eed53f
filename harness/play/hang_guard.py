"""Guards from outside: a call that lasts too long is hung; its stacks are kept and its process is ended."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from harness.machine.process.stack_reader import STACKS_WITHIN_NS
from harness.play.rank_group import RankGroup, RankProcess
from harness.scenario.scenario import EXIT, Scenario
from harness.schedule.lives import Lives
from harness.schedule.progress import CallKey, Progress
from harness.values.quantity import format_ns


class Reading(Protocol):
    """The stacks of a process as they are being read; `harness.machine.process.stack_reader.Reading` is one."""

    deadline_ns: int

    def is_over(self, now_ns: int) -> bool: ...


ReadStacks = Callable[[int, Path, int], Reading]
"""Begins to read the stacks of a pid into a file, until a deadline in ns."""


@dataclass(frozen=True)
class _Doomed:
    """A process that is ended as soon as its stacks were read."""

    process: RankProcess
    reading: Reading


class HangGuard:
    """The guards of all calls of one play; a suspended rank's guards stand still.

    Args:
        lives: when a call's guard counts.
        run_dir: has the folder of stacks.
    """

    def __init__(
        self,
        scenario: Scenario,
        lives: Lives,
        progress: Progress,
        ranks: RankGroup,
        read_stacks: ReadStacks,
        run_dir: Path,
    ) -> None:
        self._scenario = scenario
        self._lives = lives
        self._progress = progress
        self._ranks = ranks
        self._read_stacks = read_stacks
        self._run_dir = run_dir
        self._doomed: list[_Doomed] = []

    def enforce(self, now_ns: int) -> int | None:
        """End what is overdue; returns when to look again, or None if no guard runs."""
        self._end_read(now_ns)
        deadlines = [doomed.reading.deadline_ns for doomed in self._doomed]
        for key, deadline_ns in self._deadlines():
            if now_ns < deadline_ns:
                deadlines.append(deadline_ns)
            elif self._end_hung(key, now_ns):
                deadlines.append(now_ns + STACKS_WITHIN_NS)
        return min(deadlines) if deadlines else None

    def _deadlines(self) -> list[tuple[CallKey, int]]:
        """Every call whose guard runs, with its deadline, computed before one is ended: that may change the rest."""
        running = [key for key in sorted(self._progress.running) if not self._lives.guard_rests(self._progress, key)]
        return [(key, self._deadline_ns(key)) for key in running]

    def _deadline_ns(self, key: CallKey) -> int:
        from_ns = self._lives.guard_from_ns(self._progress, key)
        return from_ns + self._guard_ns(key) + self._progress.call(key).suspended_ns

    def _guard_ns(self, key: CallKey) -> int:
        guard_ns = self._scenario.world.ranks[key[1]].guard_ns
        if key[0] == EXIT:
            return guard_ns
        step = self._scenario.step(key[0])
        return guard_ns + (int(step.arguments.get("for") or 0) if step.do == "sleep" else 0)

    def _end_hung(self, key: CallKey, now_ns: int) -> bool:
        owner = self._ranks.owner(key)
        if owner is None or any(doomed.process is owner.process for doomed in self._doomed):
            return False
        self._ranks.drain(key[1])
        if self._progress.has_ended(key):
            return False
        path = self._run_dir / "stacks" / f"rank-{key[1]}.life-{key[2]}.txt"
        because = f"{key[0]} of rank {key[1]} lasted longer than its guard of {format_ns(self._guard_ns(key))}"
        self._ranks.hung(key, because, str(path.relative_to(self._run_dir)))
        reading = self._read_stacks(owner.pid, path, now_ns + STACKS_WITHIN_NS)
        self._doomed.append(_Doomed(owner.process, reading))
        return True

    def _end_read(self, now_ns: int) -> None:
        for doomed in list(self._doomed):
            if doomed.reading.is_over(now_ns):
                self._ranks.end(doomed.process)
                self._doomed.remove(doomed)
