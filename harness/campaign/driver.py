"""Which machine plays what, and what is done when one is lost: a state machine without a clock, a network or a file.

    joined, begun, finished, ended, lost, left  ──▶  Driver  ──▶  next_shards, given_up

A machine has at most `WINDOW` shards: the one that it plays, and the next. When a shard is lost, the plays that had
begun and have no result are blamed; the others are only sent again. If nothing is known to have begun, although the
shard had, all of it are blamed. A play that was blamed once is sent again beside others, twice: alone, three times: not
any more, and given up. At the end a machine without work gets what the others have not played yet: the first result
of a play counts.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from harness.campaign.plan import Plan

WINDOW = 2
"""Shards that a machine has at most."""

LOSSES_TO_SPLIT = 2
LOSSES_TO_GIVE_UP = 3


@dataclass(frozen=True)
class Shard:
    """Plays that one machine gets together; `number` is from 1, and no two have the same."""

    number: int
    machine: str
    plays: tuple[int, ...]


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
    worlds: int
    shards: dict[int, _Sent] = field(default_factory=dict)


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

    def is_sent(self, number: int) -> bool:
        """Whether a shard is under way."""
        return number in self._sent

    # -- what happens ------------------------------------------------------------------------------------------

    def joined(self, machine: str, worlds: int) -> None:
        """A machine may play from now on, so many worlds side by side."""
        self._machines.setdefault(machine, _Machine(worlds))

    def left(self, machine: str, because: str) -> None:
        """A machine is gone, and all its shards with it."""
        gone = self._machines.pop(machine, None)
        for number in list(gone.shards) if gone is not None else ():
            self.lost(number, because)

    def shard_begun(self, number: int) -> None:
        """A machine has begun with a shard."""
        if number in self._sent:
            self._sent[number].is_begun = True

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
        self._blame(suspects, because)

    def _blame(self, suspects: Sequence[int], because: str) -> None:
        for play in reversed(suspects):  # each goes before all others
            blamed = self._blamed[play] = self._blamed.get(play, 0) + 1
            if blamed >= LOSSES_TO_GIVE_UP:
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
                plays = self.plan.cut(machine.worlds, len(self._machines)) or (() if depth else self._copied(name))
                if plays:
                    self._shards += 1
                    shards.append(Shard(self._shards, name, plays))
                    machine.shards[self._shards] = self._sent[self._shards] = _Sent(shards[-1])
        return shards

    def _copied(self, machine: str) -> tuple[int, ...]:
        """What another machine has not played yet, for one that would have nothing: that one may be slow, or gone.

        Each shard is copied once, the oldest first.
        """
        for sent in self._sent.values():
            if not sent.is_copied and sent.shard.machine != machine:
                sent.is_copied = True
                plays = tuple(play for play in sent.shard.plays if not self.plan.is_recorded(play))
                if plays:
                    return plays
        return ()

    def given_up(self) -> list[GivenUp]:
        """The plays that were given up since the last call; each of them gets a result of its own."""
        given_up, self._given_up = self._given_up, []
        return [one for one in given_up if not self.plan.is_recorded(one.play)]
