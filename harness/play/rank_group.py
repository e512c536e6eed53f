"""What a play, its guard and its faults need of the ranks, however these run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from harness.play.recording import RankFile
from harness.schedule.progress import CallKey, Gate
from harness.worlds.base import RankHandle


@dataclass
class RankProcess:
    """One process of a rank.

    Attributes:
        ends_by: who is about to end it: `fault NAME`, `guard`, `harness`; `never` if its rank will not start.
        closed: whether its files are closed; nothing is heard of it any more.
        stacks: where the stacks lie that were read before its guard ended it, relative to the run directory.
    """

    handle: RankHandle
    file: RankFile
    ready: bool = False
    ended: bool = False
    closed: bool = False
    ends_by: str = ""
    stacks: str = ""

    @property
    def rank(self) -> int:
        return self.handle.rank

    @property
    def life(self) -> int:
        return self.handle.life

    @property
    def pid(self) -> int:
        return self.handle.pid


@dataclass(frozen=True)
class CallOwner:
    """The process that makes a call: the rank's, and the one to look into, which may be an agent's worker."""

    process: RankProcess
    pid: int


class RankGroup(Protocol):
    """All ranks of one play: what the play, its guard and its faults need of them, plain or under torchrun."""

    def launch(self, ranks: Sequence[int], life: int = 1) -> None:
        """Make these ranks' processes; they wait until they are released. Raises HarnessError."""

    def release(self, ranks: Sequence[int]) -> None:
        """Send ranks off with their steps."""

    def restart(self, rank: int) -> None:
        """Start the rank's next life from its first step; the life before has ended."""

    def open_gates(self, go: Sequence[Gate], skip: Sequence[tuple[int, int, int, str]]) -> None:
        """Send ranks word of steps that waited for a moment, as `Decisions` has them."""

    def never_start(self, rank: int, because: str) -> None:
        """End a rank that will not start in this play, and skip all its steps."""

    def dismiss(self) -> None:
        """Let all ranks leave that are still there."""

    def process(self, rank: int) -> RankProcess | None:
        """The rank's process; None if it was never made or has ended."""

    def owner(self, key: CallKey) -> CallOwner | None:
        """Who makes a call, if it can still be ended."""

    def living(self) -> Sequence[RankProcess]:
        """The ranks of which anything still runs."""

    def all_ready(self) -> bool:
        """Whether all processes that were made are ready or have ended."""

    def has_begun(self, rank: int) -> bool:
        """Whether a rank has begun a call, or has ended."""

    def check(self) -> None:
        """Raises HarnessError if a rank could not be made ready."""

    def hear(self) -> None:
        """Take in what ranks have written that have rung the doorbell."""

    def reap(self) -> None:
        """Take in which processes have ended."""

    def drain(self, rank: int) -> None:
        """Take in what one rank has written, rung or not."""

    def hung(self, key: CallKey, because: str, stacks: str) -> None:
        """Record that a call outlasted its guard; what it still writes does not count."""

    def expect_end(self, process: RankProcess, by: str) -> None:
        """Remember who is about to end a rank's process."""

    def end(self, process: RankProcess) -> None:
        """End a rank's process with SIGKILL, whatever it does."""

    def descriptors(self) -> Sequence[int]:
        """Readable when a process may have ended that the world does not report; then `reap`."""

    def close(self) -> None:
        """End whatever still lives, wait until it has ended, and close what was open."""
