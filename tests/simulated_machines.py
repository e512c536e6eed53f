"""Simulated machines on a virtual clock, played on by the plan, the driver and the ledger that a campaign has.

Machines have their own speeds, some are slow; shards are lost with seeded chances, and so are machines, which come back
under another name. Some plays kill their machine whenever they are played.
"""

from __future__ import annotations

import heapq
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from harness.campaign.driver import Driver, Shard
from harness.campaign.ledger import Ledger
from harness.campaign.plan import Plan


@dataclass(frozen=True)
class World:
    """What is simulated.

    Attributes:
        side_by_side: plays of one machine at a time.
        seconds: a play's mean duration.
        begin_seconds: from the start of a shard to its first play.
        losses: the chance of a shard to be lost with its machine while it is played.
        late_rows: the chance of a lost shard's last row to come after all, when the shard is thought to be lost.
        stragglers: the part of the machines that take `slow` times as long.
        poison: plays that kill their machine.
    """

    machines: int
    plays: int
    side_by_side: int = 16
    seconds: float = 2.0
    begin_seconds: float = 3.0
    losses: float = 0.01
    late_rows: float = 0.3
    stragglers: float = 0.02
    slow: float = 5.0
    poison: frozenset[int] = frozenset()
    seed: int = 0


@dataclass
class Outcome:
    """How many results each play has, in virtual seconds how long it took, and how many plays came to their end."""

    results: bytearray
    errors: list[int] = field(default_factory=list)
    seconds: float = 0.0
    played: int = 0
    losses: int = 0
    shards: int = 0


def play_name(play: int) -> str:
    """The id of a simulated play."""
    return f"{play:016x}"


class Simulation:
    """A campaign over simulated machines."""

    def __init__(self, world: World, ledger: Ledger) -> None:
        self.world = world
        self.ledger = ledger
        self.outcome = Outcome(bytearray(world.plays))
        self.driver = Driver(Plan(range(world.plays)))
        self._random = random.Random(world.seed)
        self._now = 0.0
        self._events: list[tuple[float, int, Callable[[], None]]] = []
        self._events_made = 0
        self._free_at: dict[str, float] = {}
        self._gone: set[str] = set()
        self._speeds: dict[str, float] = {}
        self._named = 0

    def run(self, most_events: int | None = None) -> Outcome:
        """Play until every play has a result, or the driver dies after so many events."""
        for row in self.ledger.rows():
            self.driver.finished(int(row["play"], 16), self.world.seconds)
        for _ in range(self.world.machines):
            self._join()
        done = 0
        while not self.driver.is_done and done != most_events:
            self._send()
            self._now, _, happen = heapq.heappop(self._events)
            happen()
            self._give_up()
            done += 1
        self.outcome.seconds = self._now
        self.outcome.losses = self.driver.losses
        return self.outcome

    def _join(self) -> None:
        self._named += 1
        name = f"machine-{self._named}"
        is_slow = self._random.random() < self.world.stragglers
        self._speeds[name] = self.world.slow if is_slow else self._random.uniform(0.9, 1.2)
        self.driver.joined(name, self.world.side_by_side)

    def _send(self) -> None:
        for shard in self.driver.next_shards():
            self.outcome.shards += 1
            self._play(shard)

    def _play(self, shard: Shard) -> None:
        """Put on the clock what will come of a shard."""
        begins = max(self._now, self._free_at.get(shard.machine, 0.0))
        self._at(begins, lambda: self.driver.shard_begun(shard.number))
        ends = list(self._ends(shard, begins + self.world.begin_seconds))
        fatal = [at for play, begun, at in ends if play in self.world.poison]
        dies = min(fatal) if fatal else None
        if self._random.random() < self.world.losses:
            lost = self._random.uniform(begins, ends[-1][2])
            dies = lost if dies is None else min(dies, lost)
        self._free_at[shard.machine] = over = max(at for _, _, at in ends)
        self._at(over if dies is None else dies, lambda: self._over(shard, ends, dies))

    def _ends(self, shard: Shard, begins: float) -> Iterator[tuple[int, float, float]]:
        """Each play of a shard with its begin and its end, played side by side."""
        lanes = [begins] * self.world.side_by_side
        speed = self._speeds[shard.machine]
        for play in shard.plays:
            begun = heapq.heappop(lanes)
            ended = begun + speed * self._random.uniform(0.5, 1.5) * self.world.seconds
            heapq.heappush(lanes, ended)
            yield play, begun, ended

    def _over(self, shard: Shard, ends: Sequence[tuple[int, float, float]], dies: float | None) -> None:
        """The rows of a shard, and its end or its loss; a machine that dies comes back under another name."""
        if shard.machine in self._gone:
            return
        come = [play for play, _, at in ends if dies is None or (at < dies and play not in self.world.poison)]
        for play, begun, _ in ends:
            if dies is None or begun <= dies:
                self.driver.begun(shard.number, play)
        late = come[-1:] if dies is not None and self._random.random() < self.world.late_rows else []
        self._rows(come[: len(come) - len(late)])
        if dies is None:
            self.driver.ended(shard.number)
            return
        self._gone.add(shard.machine)
        self.driver.left(shard.machine, "it died")
        self._at(self._now + 60.0, lambda: self._rows(late))
        self._at(self._now + 30.0, self._join)

    def _rows(self, plays: Sequence[int]) -> None:
        self.outcome.played += len(plays)
        for row in self.ledger.add({"play": play_name(play), "seconds": self.world.seconds} for play in plays):
            self._record(int(row["play"], 16))

    def _give_up(self) -> None:
        for given_up in self.driver.given_up():
            for _ in self.ledger.add([{"play": play_name(given_up.play), "error": given_up.because}]):
                self.outcome.errors.append(given_up.play)
                self._record(given_up.play)

    def _record(self, play: int) -> None:
        self.outcome.results[play] += 1
        self.driver.finished(play, self.world.seconds)

    def _at(self, when: float, happen: Callable[[], None]) -> None:
        self._events_made += 1
        heapq.heappush(self._events, (when, self._events_made, happen))


def simulate(world: World, ledger: Path, most_events: int | None = None) -> Outcome:
    """Simulate a campaign with a ledger in that file; `most_events` kills the driver after so many."""
    with Ledger(ledger, world.seed) as opened:
        return Simulation(world, opened).run(most_events)
