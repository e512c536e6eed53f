"""How ranks live: what a scheduler and a hang guard must know of the way in which they run."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from typing import Protocol

from harness.schedule.progress import CallKey, LifeFold, LifeState, Progress
from harness.values.ops import LAUNCH, NEVER_START, REAP, RELEASE, Op


class Outlook(Protocol):
    """What the schedule expects of a rank, as far as it follows from the file."""

    def rank_comes(self, rank: int, progress: Progress, now_ns: int) -> bool:
        """Whether a rank that has not begun has steps, and its moment comes by itself."""

    def step_comes(self, rank: int, progress: Progress, now_ns: int) -> bool:
        """Whether the next step of any of its threads begins by itself."""

    def next_life_comes(self, rank: int, progress: Progress, now_ns: int) -> bool:
        """Whether a fault gives it another life."""


class Lives(LifeFold, Protocol):
    """One way to run ranks: plain processes, or torchrun agents with their workers."""

    def listens(self, state: LifeState) -> bool:
        """Whether a rank can be sent word that a step may begin."""

    def may_still_make(self, progress: Progress, key: CallKey) -> bool:
        """Whether a call that has not ended can still be made, if nobody gives the rank another life."""

    def will_end(self, key: CallKey, suspended: Collection[int]) -> bool:
        """Whether a running call ends by itself or by its guard."""

    def can_go_on(
        self, rank: int, suspended: Collection[int], progress: Progress, now_ns: int, outlook: Outlook
    ) -> bool:
        """Whether a rank does something yet without anybody else doing something first."""

    def guard_rests(self, progress: Progress, key: CallKey) -> bool:
        """Whether the guard of a running call stands still."""

    def guard_from_ns(self, progress: Progress, key: CallKey) -> int:
        """When the guard of a running call began to count."""


class PlainLives:
    """Each rank is a process; a life is a process; `exit` is its end."""

    def first(self) -> LifeState:
        return LifeState()

    def fold(self, state: LifeState, op: Op) -> LifeState:
        if op.f == LAUNCH:
            return LifeState(op.value["life"], op.value["life"])
        if op.f == RELEASE:
            return replace(state, begun=True)
        if op.f == NEVER_START or (op.f == REAP and op.value["life"] == state.life):
            return replace(state, ended=True)
        return state

    def listens(self, state: LifeState) -> bool:
        return state.begun and not state.ended

    def may_still_make(self, progress: Progress, key: CallKey) -> bool:
        return key[2] == progress.rank(key[1]).life

    def will_end(self, key: CallKey, suspended: Collection[int]) -> bool:
        return key[1] not in suspended

    def can_go_on(
        self, rank: int, suspended: Collection[int], progress: Progress, now_ns: int, outlook: Outlook
    ) -> bool:
        if rank in suspended:
            return False
        state = progress.rank(rank)
        if not state.begun and not state.ended:
            return outlook.rank_comes(rank, progress, now_ns)
        if not state.ended and outlook.step_comes(rank, progress, now_ns):
            return True
        return outlook.next_life_comes(rank, progress, now_ns)

    def guard_rests(self, progress: Progress, key: CallKey) -> bool:
        return key[1] in progress.suspended

    def guard_from_ns(self, progress: Progress, key: CallKey) -> int:
        return progress.call(key).begun_ns or 0
