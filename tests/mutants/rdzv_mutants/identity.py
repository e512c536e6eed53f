"""Faults in who has joined: ranks, world sizes, doubles, and joins that do not wait for everybody."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from rdzv_mutants.catalogue import BOTH, IDENTITY, STOCK, Base, around, joined_with, mutant


@mutant(IDENTITY, "the rank that a join returns is one too high", ("everybody-joins-in-time",), of=BOTH)
def rank_off_by_one(base: Base) -> None:
    @around(base.handler, "next_rendezvous")
    def join(original: Any, self: Any) -> Any:
        info = original(self)
        return joined_with(info, rank=info.rank + 1)


@mutant(
    IDENTITY, "the ranks that joins return are those asked for, in another order", ("everybody-joins-in-time",), of=BOTH
)
def ranks_permuted(base: Base) -> None:
    @around(base.handler, "next_rendezvous")
    def join(original: Any, self: Any) -> Any:
        info = original(self)
        return joined_with(info, rank=info.world_size - 1 - info.rank)


@mutant(IDENTITY, "the last two ranks both get the lower of their ranks", ("everybody-joins-in-time",))
def last_rank_doubled(base: Base) -> None:
    @around(base.handler, "next_rendezvous")
    def join(original: Any, self: Any) -> Any:
        info = original(self)
        return joined_with(info, rank=min(info.rank, max(info.world_size - 2, 0)))


@mutant(IDENTITY, "the world size that a join returns is one too high", ("everybody-joins-in-time",), of=BOTH)
def world_size_off_by_one(base: Base) -> None:
    @around(base.handler, "next_rendezvous")
    def join(original: Any, self: Any) -> Any:
        info = original(self)
        return joined_with(info, world_size=info.world_size + 1)


@mutant(
    IDENTITY,
    "a process whose rank another process holds returns from the join as if it were the only one",
    ("a-duplicate-rank-in-a-complete-world-is-refused", *("a-duplicate-rank-does-not-replace-a-missing-one",)),
)
def doubled_rank_joins(base: Base) -> None:
    protocol = base.part("protocol")

    @around(protocol, "is_refusal")
    def is_refusal(original: Any, decision: str) -> bool:
        return decision == protocol.CLOSED

    @around(base.part("worker_join").WorkerJoin, "_hear_read")
    def read(original: Any, self: Any, decision: str, roster: str) -> Any:
        return original(self, protocol.GO if decision.startswith(protocol.DOUBLED) else decision, roster)


@mutant(
    IDENTITY,
    "a process that was replaced by another of its rank never looks whether it still counts",
    ("a-doubled-rank-is-told-although-the-other-is-cut-off",),
)
def replaced_rank_never_looks(base: Base) -> None:
    base.part("worker_join").WorkerJoin.is_waiting = property(lambda self: False)


@mutant(
    IDENTITY,
    "a worker that has died still counts as joined",
    ("a-worker-that-died-while-it-waited-does-not-count", "a-restarted-worker-counts-once"),
)
def dead_worker_counts(base: Base) -> None:
    master = base.part("master_join")

    @around(master.MasterJoin, "_hear_inspect")
    def inspect(original: Any, self: Any, *replies: Any) -> Any:
        after = original(self, *replies)
        return after.at(master.COMMIT) if getattr(after, "stage", "") == master.CALL else after


@mutant(
    IDENTITY,
    "a worker returns as soon as it has joined itself",
    ("nobody-returns-before-the-last-rank-has-begun", "with-a-rank-missing-nobody-returns"),
)
def worker_returns_at_once(base: Base) -> None:
    protocol = base.part("protocol")

    @around(base.part("worker_join").WorkerJoin, "_hear_claim")
    def claim(original: Any, self: Any, *replies: Any) -> Any:
        after = original(self, *replies)
        if getattr(after, "stage", "") != "called":
            return after
        return protocol.Joined(self.incarnation, self.round, (self.participant.name,))


@mutant(
    IDENTITY,
    "the master returns when half of the ranks have joined",
    ("nobody-returns-before-the-last-rank-has-begun", "with-a-rank-missing-nobody-returns"),
)
def half_a_world_is_enough(base: Base) -> None:
    master, protocol, operations = base.part("master_join"), base.part("protocol"), base.part("operations")

    # The base waits for all slots here; this looks again and again, after a pause.
    @around(master.MasterJoin, "_ask_gather")
    def gather(original: Any, self: Any) -> Any:
        return protocol.Request((operations.Get(self.keys.version),), pause=True)

    @around(master.MasterJoin, "_hear_gather")
    def gathered(original: Any, self: Any, version: str) -> Any:
        return original(self)

    @around(master.MasterJoin, "_hear_inspect")
    def inspect(original: Any, self: Any, version: str, closed: str, record: str, slots: Any) -> Any:
        after = original(self, version, closed, record, slots)
        if getattr(after, "stage", "") != master.GATHER or 2 * len(protocol.missing(slots)) > len(slots):
            return after
        return self.at(master.COMMIT, version=int(version), names=slots)


@mutant(
    IDENTITY,
    "the second round returns the facts of the first without waiting for anybody",
    ("a-second-round-waits-for-everyone",),
)
def second_round_does_not_wait(base: Base) -> None:
    @around(base.handler, "next_rendezvous")
    def join(original: Any, self: Any) -> Any:
        if not hasattr(self, "first"):
            self.first = original(self)
        return self.first


@mutant(
    IDENTITY,
    "a worker with another world size than the master's is not refused",
    ("a-worker-with-another-world-size-is-refused-at-once",),
)
def world_size_is_not_compared(base: Base) -> None:
    record = base.part("protocol").Record

    @around(base.part("worker_join").WorkerJoin, "_hear_look")
    def look(original: Any, self: Any, found: str) -> Any:
        if not found:
            return original(self, found)
        return original(self, replace(record.of(found), world_size=self.participant.world_size).text)


@mutant(
    IDENTITY,
    "the master returns without waiting for workers",
    ("nobody-returns-before-the-last-rank-has-begun", "with-a-rank-missing-nobody-returns"),
    of=(STOCK,),
)
def workers_are_not_waited_for(base: Base) -> None:
    @around(base.module, "TCPStore")
    def make(original: Any, *arguments: Any, **named: Any) -> Any:
        return original(*arguments, wait_for_workers=False, **named)
