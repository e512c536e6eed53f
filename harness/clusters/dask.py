"""Dask: each worker is a machine, which gets texts and says texts.

A shard is tied to one worker by its address, so Dask sends nothing again: a worker that is gone is noticed here, and
its shards are lost. What a player says comes as events of one topic, so that rows are there before their shard ends.
"""

from __future__ import annotations

import os
import secrets
import signal
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from functools import partial
from typing import Any

from harness import clock
from harness.clusters.base import CLUSTERS, Cluster, Ended, Event, Joined, Left, Lost, Said
from harness.clusters.parts import player, tls
from harness.clusters.parts.inbox import Inbox, answer, attempt, count_of, needed
from harness.machine.process.scratch import scratch
from harness.values.errors import HarnessError, UsageError

CONNECTED_WITHIN_S, ANSWERS_WITHIN_S, CLOSED_WITHIN_S = 20, 30, 1.5
LOOK_EVERY_NS = 1_000_000_000
OWN = {"threads_per_worker": 1, "memory_limit": 0, "dashboard_address": "127.0.0.1:0", "silence_logs": 50}
ONCE = {"pure": False, "retries": 0, "allow_other_workers": False}
"""How a shard is sent: to one worker, and by Dask never again."""


def play_shard(topic: str, ticket: int, order: str, command: Sequence[str]) -> None:
    """What a worker executes: a player, whose lines go to the client; without a command it is that of this machine."""
    from distributed import get_worker

    worker: Any = get_worker()
    player.play(ticket, order, lambda line: worker.log_event(topic, [ticket, line]), command or player.PLAYER)


async def stop_shards(tickets: Sequence[int]) -> None:
    """What a worker executes beside the shards that it plays; Dask waits for no answer of a coroutine."""
    player.stop(tickets)


@CLUSTERS.register("dask")
class DaskCluster(Cluster):
    """`dask://HOST:PORT`, `dask:tls://HOST:PORT`, or `dask:local:4`: a scheduler and workers of its own."""

    def __init__(self, address: str, workers: int, command: Sequence[str] = ()) -> None:
        self._address, self._workers, self._command = address, workers, tuple(command)
        self._topic = f"rdzv-{secrets.token_hex(8)}"
        self._inbox = Inbox()
        self._futures: dict[int, tuple[str, Any]] = {}
        self._known: set[str] = set()
        self._looked_ns = 0
        self._tickets = secrets.randbits(40) << 20  # other campaigns may use the same workers
        self._client: Any = None
        self._comm: Any = None
        self._own: Any = None
        self._held = ExitStack()

    @classmethod
    def at(cls, address: str) -> Cluster:
        needed("distributed", "dask")
        if address.startswith("local:") and count_of(address.removeprefix("local:")):
            return cls("", count_of(address.removeprefix("local:")))
        address = f"tcp:{address}" if address.startswith("//") else address
        scheme, _, place = address.partition("://")
        if scheme not in ("tcp", "tls", "ws", "wss") or not place.rpartition(":")[2].isdigit():
            raise UsageError(f"--cluster dask:{address}: write dask://HOST:PORT, dask:tls://HOST:PORT, or dask:local:4")
        return cls(tls.configured(address), 0)

    def open(self) -> Sequence[str]:
        import dask
        import distributed

        try:
            if self._workers:
                with dask.config.set({"temporary-directory": str(self._held.enter_context(scratch("rdzv-dask-")))}):
                    self._own = distributed.LocalCluster(n_workers=self._workers, **OWN)
            self._client = distributed.Client.__new__(distributed.Client)
            self._client.__init__(self._own or self._address, set_as_default=False, timeout=CONNECTED_WITHIN_S)
        except (OSError, TimeoutError, RuntimeError) as error:
            attempt(CLOSED_WITHIN_S, lambda: self._client._loop_runner.stop())  # a client that fails leaves it
            self.close()
            if self._workers:
                raise HarnessError(f"Dask cannot start {self._workers} workers here ({error}); start fewer") from error
            raise UsageError(tls.unanswered(self._address, error)) from error
        self._comm = self._client.scheduler_comm
        self._client.subscribe_topic(self._topic, lambda event: self._inbox.put(Said(event[1][0], str(event[1][1]))))
        self._looked()
        return sorted(self._known)

    def submit(self, machine: str, order: str) -> int:
        self._tickets += 1
        ticket, words = self._tickets, (self._topic, self._tickets, order, self._command)
        if self._is_connected:
            future = self._client.submit(play_shard, *words, key=f"rdzv-shard-{ticket}", workers=[machine], **ONCE)
            self._futures[ticket] = (machine, future)
            future.add_done_callback(partial(self._done, ticket))
        return ticket

    def completed(self, within_s: float) -> Sequence[Event]:
        return [*self._inbox.take(within_s), *self._looked()]

    def cancel(self, ticket: int) -> None:
        self._cancel([ticket])

    def close(self) -> None:
        self._cancel(list(self._futures))
        for one in filter(None, (self._client, self._own)):
            closing = attempt(CLOSED_WITHIN_S / 3, one.close, timeout=CONNECTED_WITHIN_S)
        if self._own is not None:  # Dask would wait for threads of workers; players heal and end without them
            for nanny in self._own.workers.values():
                with suppress(OSError, TypeError):
                    os.kill(nanny.pid, signal.SIGKILL)
            closing.join(CLOSED_WITHIN_S)
        self._held.close()

    def _cancel(self, tickets: Sequence[int]) -> None:
        """Take shards back, and stop those that play; a worker that does not answer is waited for no longer."""
        found = [(ticket, *self._futures.pop(ticket)) for ticket in tickets if ticket in self._futures]
        with suppress(Exception):
            for _, _, future in found:
                future.cancel()
        running, named = sorted({machine for _, machine, _ in found} & self._known), [ticket for ticket, *_ in found]
        if running:
            call = partial(self._client.run, stop_shards, named, workers=running)
            attempt(CLOSED_WITHIN_S, call, wait=False, on_error="ignore")

    def _done(self, ticket: int, future: Any) -> None:
        self._futures.pop(ticket, None)
        error = answer(1, future.exception) if future.status == "error" else future.status
        self._inbox.put(Ended(ticket) if future.status == "finished" else Lost(ticket, str(error)[:300]))

    @property
    def _is_connected(self) -> bool:
        """A client that connects again hears no lines any more, so only its first connection counts."""
        return self._client.scheduler_comm is self._comm

    def _looked(self) -> list[Event]:
        """Who has come and who has gone since the last look; raises HarnessError if the scheduler is gone."""
        if self._is_connected and clock.now_ns() - self._looked_ns < LOOK_EVERY_NS:
            return []
        seen = self._is_connected and answer(ANSWERS_WITHIN_S, self._client.scheduler_info, n_workers=-1)
        if not seen or not self._is_connected:
            raise HarnessError("the Dask scheduler answers no more; see its log. With --ledger the same call goes on")
        self._looked_ns, before, self._known = clock.now_ns(), self._known, set(seen["workers"])
        came, gone = sorted(self._known - before), sorted(before - self._known)
        self._cancel([ticket for ticket, (machine, _) in list(self._futures.items()) if machine in gone])
        return [*map(Joined, came), *(Left(one, "its worker is gone") for one in gone)]
