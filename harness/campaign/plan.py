"""The plays of a campaign that wait to be sent, cut into shards when a machine has room for one."""

from __future__ import annotations

from collections import deque
from collections.abc import Hashable, Sequence

SHARD_SECONDS = 30.0
"""How long a machine should take for one shard: far more than it takes to begin it, and little is lost with it."""

LEAST_SECONDS = 5.0
"""Also at the end no shard is smaller: to begin one takes a second or two."""

UNKNOWN_SECONDS = 2.0
"""What a play is expected to take before one of its group was recorded."""

WEIGHT = 0.2
"""Of the newest duration in the expected one."""

SHARDS_AT_THE_END = 2
"""At the end a shard is so many times smaller than what is left for each machine, so that all end at one time."""


class Plan:
    """What is still to be sent. A play is its number, from 0.

    Args:
        groups: of each play, the plays that take about as long as it does: those of one cell.
        seconds: what plays of a group took before, where that is known.
    """

    def __init__(self, groups: Sequence[Hashable], seconds: dict[Hashable, float] | None = None) -> None:
        self._groups = groups
        self._seconds = dict(seconds or {})
        self._waiting = deque(range(len(groups)))
        self._alone: deque[int] = deque()
        self._recorded = bytearray(len(groups))
        self._left = len(groups)

    @property
    def left(self) -> int:
        """How many plays have no result yet."""
        return self._left

    def is_recorded(self, play: int) -> bool:
        """Whether a play has its result."""
        return bool(self._recorded[play])

    def record(self, play: int) -> bool:
        """Say that a play has a result; returns whether it is the first."""
        if self._recorded[play]:
            return False
        self._recorded[play] = True
        self._left -= 1
        return True

    def learn(self, play: int, seconds: float) -> None:
        """Say how long a play took."""
        group = self._groups[play]
        known = self._seconds.get(group)
        self._seconds[group] = seconds if known is None else known + WEIGHT * (seconds - known)

    def expected(self, play: int) -> float:
        """How many seconds a play will take."""
        return self._seconds.get(self._groups[play], UNKNOWN_SECONDS)

    def again(self, plays: Sequence[int], alone: bool = False) -> None:
        """Have plays sent again, before all others; `alone`: each in a shard of its own."""
        if alone:
            self._alone.extend(plays)
        else:
            self._waiting.extendleft(reversed(plays))

    def cut(self, worlds: int, machines: int) -> tuple[int, ...]:
        """The plays of the next shard; empty if none waits.

        Args:
            worlds: how many plays its machine plays side by side.
            machines: how many machines share what is left.
        """
        while self._alone:
            play = self._alone.popleft()
            if not self._recorded[play]:
                return (play,)
        most = -(-len(self._waiting) // (SHARDS_AT_THE_END * max(1, machines)))
        plays: list[int] = []
        seconds = 0.0
        while self._waiting and seconds < (SHARD_SECONDS if len(plays) < most else LEAST_SECONDS) * worlds:
            play = self._waiting.popleft()
            if not self._recorded[play]:
                plays.append(play)
                seconds += self.expected(play)
        return tuple(plays)
