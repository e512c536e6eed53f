"""This machine as several: each of them plays one shard at a time, in a process of its own."""

from __future__ import annotations

import queue
import threading
from collections.abc import Sequence

from harness.clusters.base import CLUSTERS, Cluster, Ended, Event, Lost, Said
from harness.clusters.parts.inbox import MOST_LOCAL, Inbox, count_of
from harness.clusters.parts.player import PLAYER, Player, PlayerFailed
from harness.values.errors import UsageError

CLOSED_WITHIN_S = 3.0

_Job = tuple[int, Player]


@CLUSTERS.register("local")
class LocalCluster(Cluster):
    """`local:4`: four machines, which are threads that start players.

    Args:
        command: the player.
    """

    def __init__(self, machines: int, command: Sequence[str] = PLAYER) -> None:
        self._names = [f"local-{number}" for number in range(1, machines + 1)]
        self._command = command
        self._jobs: dict[str, queue.SimpleQueue[_Job | None]] = {name: queue.SimpleQueue() for name in self._names}
        self._inbox = Inbox()
        self._players: dict[int, Player] = {}
        self._threads: list[threading.Thread] = []
        self._tickets = 0

    @classmethod
    def at(cls, address: str) -> Cluster:
        machines = count_of(address)
        if not machines:
            raise UsageError(f"--cluster local:{address}: write how many machines, from 1 to {MOST_LOCAL}: local:4")
        return cls(machines)

    def open(self) -> Sequence[str]:
        for name in self._names:
            self._threads.append(threading.Thread(target=self._machine, args=(self._jobs[name],), daemon=True))
            self._threads[-1].start()
        return self._names

    def submit(self, machine: str, order: str) -> int:
        self._tickets += 1
        player = self._players[self._tickets] = Player(order, self._command)
        self._jobs[machine].put((self._tickets, player))
        return self._tickets

    def completed(self, within_s: float) -> Sequence[Event]:
        return self._inbox.take(within_s)

    def cancel(self, ticket: int) -> None:
        player = self._players.pop(ticket, None)
        if player is not None:
            player.stop()

    def close(self) -> None:
        for ticket in list(self._players):
            self.cancel(ticket)
        for jobs in self._jobs.values():
            jobs.put(None)
        for thread in self._threads:
            thread.join(CLOSED_WITHIN_S)

    def _machine(self, jobs: queue.SimpleQueue[_Job | None]) -> None:
        while (job := jobs.get()) is not None:
            ticket, player = job
            self._inbox.put(self._play(ticket, player))
            self._players.pop(ticket, None)

    def _play(self, ticket: int, player: Player) -> Event:
        try:
            player.play(lambda line: self._inbox.put(Said(ticket, line)))
        except (PlayerFailed, OSError) as error:
            return Lost(ticket, str(error))
        return Ended(ticket)
