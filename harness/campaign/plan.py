"""The plays of a campaign that wait to be sent, cut into shards when a machine has room for one."""

from __future__ import annotations

from collections import deque
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field
from itertools import chain

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


@dataclass(frozen=True)
class Lane:
    """Plays that may be in one shard: those of one environment and one subject.

    Attributes:
        environment: what a machine must have for them, such as a release of torch; empty if each has it.
    """

    environment: str = ""
    subject: str = ""


ONLY = Lane()
"""The lane of all plays, where there is one."""


@dataclass
class _Waiting:
    """The plays of a lane that wait: those that go alone, and the others."""

    alone: deque[int] = field(default_factory=deque)
    others: deque[int] = field(default_factory=deque)

    def __len__(self) -> int:
        return len(self.alone) + len(self.others)


class Plan:
    """What is still to be sent. A play is its number, from 0.

    Args:
        groups: of each play, the plays that take about as long as it does: those of one cell.
        seconds: what plays of a group took before, where that is known.
        lanes: of each play; without them there is one.
    """

    def __init__(
        self,
        groups: Sequence[Hashable],
        seconds: dict[Hashable, float] | None = None,
        lanes: Sequence[Lane] | None = None,
    ) -> None:
        self._groups = groups
        self._seconds = dict(seconds or {})
        self._lanes = lanes
        self._waiting: dict[Lane, _Waiting] = {ONLY: _Waiting(others=deque(range(len(groups))))}
        if lanes is not None:
            self._waiting = {lane: _Waiting() for lane in lanes}
            for play, lane in enumerate(lanes):
                self._waiting[lane].others.append(play)
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

    def lane(self, play: int) -> Lane:
        """The lane of a play."""
        return ONLY if self._lanes is None else self._lanes[play]

    def open_lanes(self) -> list[Lane]:
        """Those in which plays wait, in the order of their first plays."""
        return [lane for lane, waiting in self._waiting.items() if waiting]

    def waiting(self, lane: Lane) -> int:
        """About how many plays of a lane wait: some may have their results by now."""
        return len(self._waiting[lane])

    def takes(self, lane: Lane, seconds: float) -> bool:
        """Whether what waits in a lane takes so long, if it is played one by one."""
        waiting = self._waiting[lane]
        left = seconds
        for play in chain(waiting.alone, waiting.others):
            left -= 0 if self._recorded[play] else self.expected(play)
            if left <= 0:
                return True
        return False

    def again(self, plays: Sequence[int], alone: bool = False) -> None:
        """Have plays sent again, before all others; `alone`: each in a shard of its own."""
        for play in plays if alone else reversed(plays):
            waiting = self._waiting[self.lane(play)]
            if alone:
                waiting.alone.append(play)
            else:
                waiting.others.appendleft(play)

    def cut(self, worlds: int, machines: int, lane: Lane = ONLY) -> tuple[int, ...]:
        """The plays of the next shard; empty if none waits.

        Args:
            worlds: how many plays its machine plays side by side.
            machines: how many machines share what is left.
            lane: of which they are.
        """
        waiting = self._waiting.get(lane, _Waiting())
        while waiting.alone:
            play = waiting.alone.popleft()
            if not self._recorded[play]:
                return (play,)
        others = waiting.others
        most = -(-len(others) // (SHARDS_AT_THE_END * max(1, machines)))
        plays: list[int] = []
        seconds = 0.0
        while others and seconds < (SHARD_SECONDS if len(plays) < most else LEAST_SECONDS) * worlds:
            play = others.popleft()
            if not self._recorded[play]:
                plays.append(play)
                seconds += self.expected(play)
        return tuple(plays)
