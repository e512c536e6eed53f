"""Which machine plays what, and what is done when one is lost: a state machine without a clock, a network or a file.

    joined, begun, finished, ended, lost, left  ──▶  Driver  ──▶  next_shards, given_up

A machine has at most `WINDOW` shards: the one that it plays, and the next. When a shard is lost, the plays that had
begun and have no result are blamed; the others are only sent again. If nothing is known to have begun, although the
shard had, all of it are blamed. A play that was blamed once is sent again beside others, twice: alone; one that was
blamed three times and was alone the last time is given up. At the end a machine without work gets what the others have
not played yet: the first result of a play counts.

A shard has plays of one lane. A machine stays in its lane while plays wait there, then goes to one whose environment it
has; it takes on another environment only where nobody plays, or where that helps more than the environment costs.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from harness.campaign.plan import ONLY, Lane, Plan

WINDOW = 2
"""Shards that a machine has at most."""

LOSSES_TO_SPLIT = 2
LOSSES_TO_GIVE_UP = 3

ENVIRONMENT_SECONDS = 60.0
"""A machine takes on an environment beside others if each of these has at least so long to play in it."""


@dataclass(frozen=True)
class Shard:
    """Plays that one machine gets together; `number` is from 1, and no two have the same."""

    number: int
    machine: str
    plays: tuple[int, ...]
    lane: Lane = ONLY


@dataclass(frozen=True)
class GivenUp:
    """A play that is not sent any more, and what was said when it was lost for the last time."""

    play: int
    because: str


@dataclass
class _Sent:
    shard: Shard
    begun: set[int] = field(default_factory=set)
    is_begun: bool = False
    is_copied: bool = False


@dataclass
class _Machine:
    """`environments` are those that it has, `refused` those that it cannot have."""

    worlds: int
    environments: set[str]
    lane: Lane | None = None
    refused: set[str] = field(default_factory=set)
    shards: dict[int, _Sent] = field(default_factory=dict)

    def has(self, environment: str) -> bool:
        return not environment or environment in self.environments


class Driver:
    """The state of a campaign."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.losses = 0
        """How many shards were lost that had begun."""
        self._machines: dict[str, _Machine] = {}
        self._sent: dict[int, _Sent] = {}
        self._blamed: dict[int, int] = {}
        self._given_up: list[GivenUp] = []
        self._shards = 0

    @property
    def is_done(self) -> bool:
        """Whether every play has a result."""
        return self.plan.left == 0

    @property
    def machines(self) -> Sequence[str]:
        """Those that play."""
        return tuple(self._machines)

    @property
    def is_stuck(self) -> bool:
        """Whether nothing is under way, and no machine may play what waits."""
        lanes = self.plan.open_lanes()
        return not self._sent and not any(
            lane.environment not in machine.refused for machine in self._machines.values() for lane in lanes
        )

    def is_sent(self, number: int) -> bool:
        """Whether a shard is under way."""
        return number in self._sent

    # -- what happens ------------------------------------------------------------------------------------------

    def joined(self, machine: str, worlds: int, environments: Iterable[str] = ()) -> None:
        """A machine may play from now on, so many worlds side by side.

        Args:
            environments: those that it has.
        """
        self._machines.setdefault(machine, _Machine(worlds, set(environments)))

    def left(self, machine: str, because: str) -> None:
        """A machine is gone, and all its shards with it."""
        gone = self._machines.pop(machine, None)
        for number in list(gone.shards) if gone is not None else ():
            self.lost(number, because)

    def shard_begun(self, number: int) -> None:
        """A machine has begun with a shard."""
        sent = self._sent.get(number)
        if sent is not None:
            sent.is_begun = True
            machine = self._machines.get(sent.shard.machine)
            if machine is not None:
                machine.environments.add(sent.shard.lane.environment)

    def refused(self, number: int, because: str) -> None:
        """A machine cannot have the environment of a shard, which goes to others; no play is blamed for that."""
        sent = self._sent.get(number)
        machine = self._machines.get(sent.shard.machine) if sent is not None else None
        if sent is not None and machine is not None:
            machine.refused.add(sent.shard.lane.environment)
            machine.lane = None
            sent.is_begun = False
        self.lost(number, because)

    def begun(self, number: int, play: int) -> None:
        """A play of a shard has begun."""
        sent = self._sent.get(number)
        if sent is not None:
            sent.is_begun = True
            sent.begun.add(play)

    def finished(self, play: int, seconds: float) -> bool:
        """A play has a result; returns whether it counts, which only the first does.

        It may come from a shard that is thought to be lost.
        """
        if not self.plan.record(play):
            return False
        self._blamed.pop(play, None)
        self.plan.learn(play, seconds)
        return True

    def ended(self, number: int) -> None:
        """A machine is through with a shard; what it has not played counts as lost."""
        self.lost(number, "its machine did not play it")

    def lost(self, number: int, because: str) -> None:
        """A shard will give no more results, as far as anybody knows."""
        sent = self._sent.pop(number, None)
        if sent is None:
            return
        machine = self._machines.get(sent.shard.machine)
        if machine is not None:
            machine.shards.pop(number, None)
        open_ones = [play for play in sent.shard.plays if not self.plan.is_recorded(play)]
        if not open_ones:
            return
        self.losses += sent.is_begun
        suspects = ([play for play in open_ones if play in sent.begun] or open_ones) if sent.is_begun else []
        suspected = set(suspects)
        self.plan.again([play for play in open_ones if play not in suspected])
        self._blame(suspects, because, is_alone=len(sent.shard.plays) == 1)

    def _blame(self, suspects: Sequence[int], because: str, is_alone: bool) -> None:
        """Only a play that was alone in its shard is given up: a shard and its copy may both be lost."""
        for play in reversed(suspects):  # each goes before all others
            blamed = self._blamed[play] = self._blamed.get(play, 0) + 1
            if blamed >= LOSSES_TO_GIVE_UP and is_alone:
                self._given_up.append(GivenUp(play, because))
            else:
                self.plan.again([play], alone=blamed >= LOSSES_TO_SPLIT)

    # -- what is to be done ------------------------------------------------------------------------------------

    def next_shards(self) -> list[Shard]:
        """What is to be sent now, first to machines that have nothing."""
        shards: list[Shard] = []
        for depth in range(WINDOW):
            for name, machine in self._machines.items():
                if len(machine.shards) != depth:
                    continue
                plays = self._cut(machine) or (() if depth else self._copied(name, machine))
                if plays:
                    self._shards += 1
                    shards.append(Shard(self._shards, name, plays, self.plan.lane(plays[0])))
                    machine.shards[self._shards] = self._sent[self._shards] = _Sent(shards[-1])
        return shards

    def _cut(self, machine: _Machine) -> tuple[int, ...]:
        while (lane := self._lane(machine)) is not None:
            machine.lane = lane
            plays = self.plan.cut(machine.worlds, self._sharing(lane), lane)
            if plays:
                return plays
        return ()

    def _lane(self, machine: _Machine) -> Lane | None:
        """The lane of a machine's next shard; None if there is nothing for it."""
        lanes = [lane for lane in self.plan.open_lanes() if lane.environment not in machine.refused]
        if machine.lane in lanes:
            return machine.lane
        lanes = [lane for lane in lanes if machine.has(lane.environment)] or list(filter(self._is_worth_it, lanes))
        return max(lanes, key=self._waiting_for_each, default=None)

    def _playing(self, environment: str) -> list[_Machine]:
        """The machines that play in an environment now."""
        return [one for one in self._machines.values() if one.lane is not None and one.lane.environment == environment]

    def _sharing(self, lane: Lane) -> int:
        """How many machines share what is left of a lane: those in its environment, or those that will come to it."""
        environments = {one.environment for one in self.plan.open_lanes()}
        return max(len(self._playing(lane.environment)), len(self._machines) // max(1, len(environments)))

    def _waiting_for_each(self, lane: Lane) -> float:
        return self.plan.waiting(lane) / (1 + len(self._playing(lane.environment)))

    def _is_worth_it(self, lane: Lane) -> bool:
        """Whether another machine should get the environment of a lane for it."""
        worlds = sum(one.worlds for one in self._playing(lane.environment))
        return self.plan.takes(lane, ENVIRONMENT_SECONDS * worlds)

    def _copied(self, name: str, machine: _Machine) -> tuple[int, ...]:
        """What another machine has not played yet, for one that would have nothing: that one may be slow, or gone.

        Each shard is copied once, the oldest first, to a machine that has its environment.
        """
        for sent in self._sent.values():
            environment = sent.shard.lane.environment
            is_fit = environment not in machine.refused and machine.has(environment)
            if is_fit and not sent.is_copied and sent.shard.machine != name:
                sent.is_copied = True
                plays = tuple(play for play in sent.shard.plays if not self.plan.is_recorded(play))
                if plays:
                    return plays
        return ()

    def given_up(self) -> list[GivenUp]:
        """The plays that were given up since the last call; each of them gets a result of its own."""
        given_up, self._given_up = self._given_up, []
        return [one for one in given_up if not self.plan.is_recorded(one.play)]
