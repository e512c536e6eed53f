"""HangGuard from outside: a call that lasts too long is hung; its stacks are kept and its process is ended."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from harness import clock
from harness.machine.process.stack_reader import STACKS_WITHIN_NS, Reading
from harness.play.ranks import Member, Ranks
from harness.scenario.scenario import EXIT, Scenario
from harness.schedule import torchrun
from harness.schedule.progress import CallKey, Progress
from harness.values.quantity import format_ns
from harness.worlds.base import World


@dataclass
class _Reading:
    member: Member
    stacks: Reading


class HangGuard:
    """The guards of all calls of one play; a paused rank's guard stands still."""

    def __init__(
        self,
        scenario: Scenario,
        progress: Progress,
        cast: Ranks,
        world: World,
        run_dir: Path,
    ) -> None:
        self._scenario = scenario
        self._progress = progress
        self._cast = cast
        self._children = world.children
        self._run_dir = run_dir
        self._paused_since: dict[int, int] = {}
        self._extra_ns: dict[CallKey, int] = {}
        self._readings: list[_Reading] = []

    def paused(self, rank: int, is_paused: bool) -> None:
        """Stop the guards of a rank, or let them run on."""
        now_ns = clock.now_ns()
        if is_paused:
            self._paused_since.setdefault(rank, now_ns)
        elif rank in self._paused_since:
            since_ns = self._paused_since.pop(rank)
            for key in self._running(rank):
                self._extra_ns[key] = self._extra_ns.get(key, 0) + now_ns - max(since_ns, self._begun_ns(key))

    def enforce(self, now_ns: int) -> int | None:
        """End what is overdue; returns when to look again, or None if no guard runs."""
        self._finish_readings(now_ns)
        deadlines = [reading.stacks.deadline_ns for reading in self._readings]
        for key, deadline_ns in self._due():
            if now_ns < deadline_ns:
                deadlines.append(deadline_ns)
            elif self._end_hung(key, now_ns):
                deadlines.append(now_ns + STACKS_WITHIN_NS)
        return min(deadlines) if deadlines else None

    def _due(self) -> list[tuple[CallKey, int]]:
        """Every call whose guard runs, and until when: known before one of them is ended, which may change the rest."""
        running = [key for key in sorted(self._progress.running) if not self._stands_still(key)]
        return [(key, self._deadline_ns(key)) for key in running]

    def _stands_still(self, key: CallKey) -> bool:
        """Whether a call's guard does not run: its process is paused, or it is an agent's end and others still work."""
        if self._scenario.world.torchrun is None:
            return key[1] in self._paused_since
        if torchrun.is_workers(self._scenario, key):
            return False
        return key[1] in self._paused_since or (
            key[0] == EXIT and torchrun.somebody_works(self._scenario, self._progress)
        )

    def _running(self, rank: int) -> list[CallKey]:
        return [key for key in self._progress.running if key[1] == rank]

    def _begun_ns(self, key: CallKey) -> int:
        return self._progress.calls[key].begun_ns or 0

    def _guard_ns(self, key: CallKey) -> int:
        guard_ns = self._scenario.world.ranks[key[1]].guard_ns
        if key[0] == EXIT:
            return guard_ns
        step = self._scenario.step(key[0])
        return guard_ns + (int(step.arguments.get("for") or 0) if step.do == "sleep" else 0)

    def _deadline_ns(self, key: CallKey) -> int:
        if key[0] == EXIT and self._scenario.world.torchrun is not None:
            return torchrun.silent_from_ns(self._scenario, self._progress, key[1]) + self._extra_ns.get(key, 0)
        return self._begun_ns(key) + self._guard_ns(key) + self._extra_ns.get(key, 0)

    def _end_hung(self, key: CallKey, now_ns: int) -> bool:
        owner = self._cast.owner(key)
        if owner is None or any(reading.member is owner.member for reading in self._readings):
            return False
        self._cast.drain(key[1])
        if self._progress.has_ended(key):
            return False
        path = self._run_dir / "stacks" / f"rank-{key[1]}.life-{key[2]}.txt"
        because = f"{key[0]} of rank {key[1]} lasted longer than its guard of {format_ns(self._guard_ns(key))}"
        self._cast.hung(key, because, str(path.relative_to(self._run_dir)))
        reading = Reading(self._children, owner.pid, path, now_ns + STACKS_WITHIN_NS)
        self._readings.append(_Reading(owner.member, reading))
        return True

    def _finish_readings(self, now_ns: int) -> None:
        for reading in list(self._readings):
            if reading.stacks.is_over(now_ns):
                self._cast.end(reading.member)
                self._readings.remove(reading)
