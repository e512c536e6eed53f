"""A world of the join as a value: a store, processes at their stages, and what may happen to them next."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from harness.rendezvous import operations as op
from harness.rendezvous.closing import Closing
from harness.rendezvous.keys import Incarnation
from harness.rendezvous.master_join import PUBLISH, MasterJoin
from harness.rendezvous.protocol import OUTCOMES, Joined, Participant, Request, Withdrawn
from harness.rendezvous.worker_join import WorkerJoin


@dataclass(frozen=True)
class Process:
    """One process at one point of its join; `join` is the outcome once there is one."""

    rank: int
    life: int
    join: Any
    queue: tuple[op.Operation, ...] = ()
    replies: tuple[op.Reply, ...] = ()
    skipped: int = 0
    withdrawing: bool = False
    crashed: bool = False

    @property
    def name(self) -> str:
        return f"n{self.rank}{self.life} p"

    @property
    def done(self) -> bool:
        return self.crashed or isinstance(self.join, OUTCOMES)


@dataclass(frozen=True)
class World:
    """All there is.

    Attributes:
        store: the server's keys, sorted.
        stray: operations of a lost connection, which may still arrive, in order, or never.
        faults: how many may still happen.
        lossy: whether a message or a process was lost.
        servers: how many there have been.
    """

    size: int
    store: tuple[tuple[str, str], ...]
    processes: tuple[Process, ...]
    stray: tuple[op.Operation, ...] = ()
    faults: int = 0
    lossy: bool = False
    servers: int = 1


def first_world(size: int, faults: int, doubled: tuple[int, ...] = ()) -> World:
    """No process has begun; `doubled` ranks have a second process."""
    ranks = [(rank, 1) for rank in range(size)] + [(rank, 2) for rank in doubled]
    return World(size, (), tuple(launched(rank, life, size) for rank, life in ranks), faults=faults)


def launched(rank: int, life: int, size: int) -> Process:
    participant = Participant("a", rank, size, f"n{rank}{life}", "p")
    join: Any = WorkerJoin(participant) if rank else MasterJoin(participant, Incarnation(f"i{life}"))
    return asking(Process(rank, life, join))


@dataclass(frozen=True)
class Closer:
    """A call of set_closed, which takes part in a world as a join does; when it is done, it is over like one."""

    closing: Closing
    is_waiting = False

    def ask(self) -> Request:
        return Request(self.closing.ask())

    def hear(self, replies: op.Replies) -> Closer | Withdrawn:
        after = self.closing.hear(replies)
        return Withdrawn() if after.is_done else Closer(after)


def with_closer(world: World) -> World:
    """With a call that closes the run; it has no rank."""
    return replace(world, processes=(*world.processes, asking(Process(-1, 1, Closer(Closing("a"))))))


def with_late_worker(world: World) -> World:
    """With a second process of rank 1, which begins now."""
    return replace(world, processes=(*world.processes, launched(1, 2, world.size)))


def asking(process: Process) -> Process:
    if process.done:
        return replace(process, queue=(), replies=(), skipped=0, withdrawing=False)
    ask = process.join.ask_to_withdraw() if process.withdrawing else process.join.ask()
    return settled(replace(process, queue=ask.operations, replies=(), skipped=0))


def settled(process: Process) -> Process:
    """What a process does once it has all replies."""
    if process.queue or process.done:
        return process
    hear = process.join.hear_withdrawal if process.withdrawing else process.join.hear
    return asking(replace(process, join=hear(list(process.replies)), withdrawing=False))


# What the server does for one operation.


def perform(store: dict[str, str], what: op.Operation) -> op.Reply:
    """As torch's server does; for Wait see `enabled`."""
    if isinstance(what, op.Get):
        return store.get(what.key, "")
    if isinstance(what, op.Set):
        store[what.key] = what.value
    if isinstance(what, op.MultiSet):
        store.update(what.pairs)
    if isinstance(what, op.Append):
        store[what.key] = store.get(what.key, "") + what.value
    if isinstance(what, op.Add):
        store[what.key] = str(int(store.get(what.key, "0")) + what.amount)
        return int(store[what.key])
    if isinstance(what, op.MultiGet):
        return tuple(store.get(key, "") for key in what.keys)
    if isinstance(what, op.CompareSet):
        return compare_set(store, what)
    return None


def compare_set(store: dict[str, str], what: op.CompareSet) -> str:
    if what.key not in store and what.expected:
        return what.expected
    if store.get(what.key, "") == what.expected:
        store[what.key] = what.desired
    return store[what.key]


def enabled(world: World, what: op.Operation) -> bool:
    held = {key for key, _ in world.store}
    return not isinstance(what, op.Wait) or all(key in held for key in what.keys)


# What may happen next.


def steps(world: World) -> Iterator[World]:
    """Every world in which the server has done one more operation of one process."""
    for index, process in enumerate(world.processes):
        if process.done:
            continue
        if enabled(world, process.queue[0]):
            yield stepped(world, index)
        elif not process.withdrawing and process.join.is_waiting:
            yield put(world, index, asking(replace(process, join=process.join.recheck())))


def stepped(world: World, index: int) -> World:
    process = world.processes[index]
    store = dict(world.store)
    reply = perform(store, process.queue[0])
    replies = process.replies if process.skipped else (*process.replies, reply)
    after = replace(process, queue=process.queue[1:], replies=replies, skipped=max(0, process.skipped - 1))
    return put(replace(world, store=tuple(sorted(store.items()))), index, settled(after))


def put(world: World, index: int, process: Process) -> World:
    processes = world.processes
    return replace(world, processes=(*processes[:index], process, *processes[index + 1 :]))


def faults(world: World) -> Iterator[World]:
    """Every world in which one fault has happened, or a stray operation has arrived late."""
    if world.stray:
        store = dict(world.store)
        perform(store, world.stray[0])
        yield replace(world, store=tuple(sorted(store.items())), stray=world.stray[1:])
    if world.faults:
        for index, process in enumerate(world.processes):
            if not process.done:
                after = replace(world, faults=world.faults - 1)
                yield from given_up(after, index)
                yield from lost(after, index)
                yield from crashed(after, index)


def given_up(world: World, index: int) -> Iterator[World]:
    """The deadline of a process has come; the operations it has sent arrive before those it sends now."""
    process = world.processes[index]
    if process.withdrawing or (isinstance(process.join, MasterJoin) and process.join.stage == PUBLISH):
        return
    if isinstance(process.join, WorkerJoin) and not process.join.may_have_claimed:
        yield put(world, index, asking(replace(process, join=Withdrawn())))
        return
    sent = tuple(what for what in process.queue if not isinstance(what, op.Wait))
    withdrawal = process.join.ask_to_withdraw().operations
    yield put(
        world, index, replace(process, queue=(*sent, *withdrawal), replies=(), skipped=len(sent), withdrawing=True)
    )


def lost(world: World, index: int) -> Iterator[World]:
    """The connection of a worker breaks; if it was withdrawing it raises, else it connects again."""
    process = world.processes[index]
    if not isinstance(process.join, WorkerJoin):
        return
    join = Withdrawn() if process.withdrawing else process.join.reconnected()
    after = asking(replace(process, join=join, withdrawing=False))
    yield put(replace(world, lossy=True, stray=world.stray or process.queue), index, after)


def crashed(world: World, index: int) -> Iterator[World]:
    """The process dies, and may be started again; the server dies with the master."""
    process = world.processes[index]
    lossy = replace(world, lossy=True)
    if process.rank == 0:
        yield from restarted_server(lossy, index)
        return
    gone = put(replace(lossy, stray=world.stray or process.queue), index, replace(process, crashed=True, queue=()))
    yield gone
    yield with_new(gone, process)


def with_new(world: World, process: Process) -> World:
    return replace(world, processes=(*world.processes, launched(process.rank, process.life + 2, world.size)))


def restarted_server(world: World, index: int) -> Iterator[World]:
    master = world.processes[index]
    processes = [
        asking(replace(one, join=Withdrawn() if one.withdrawing else one.join.reconnected(), withdrawing=False))
        if isinstance(one.join, WorkerJoin)
        else one
        for one in world.processes
    ]
    processes[index] = replace(master, crashed=True, queue=())
    bare = replace(world, store=(), stray=(), processes=tuple(processes), servers=world.servers + 1)
    yield with_new(bare, master)


# What must hold.


def unsafe(world: World) -> str:
    """Why a world must not exist; empty if it may."""
    joined = [process for process in world.processes if isinstance(process.join, Joined)]
    rosters: dict[tuple[str, int], tuple[str, ...]] = {}
    for process in joined:
        outcome = process.join
        if len(outcome.roster) != world.size or outcome.roster[process.rank] != process.name:
            return f"{process.name} returned with the roster {outcome.roster}"
        key = (outcome.incarnation.name, outcome.round)
        if rosters.setdefault(key, outcome.roster) != outcome.roster:
            return f"two rosters of round {key}"
    return unwhole(world, set(rosters.values()))


def unwhole(world: World, rosters: set[tuple[str, ...]]) -> str:
    """Why a roster of a process that returned is wrong: each process on it has joined, and raises only after a loss."""
    by_name = {process.name: process for process in world.processes}
    present = {key for key, _ in world.store}
    for roster in rosters:
        for name in roster[1:] if world.servers == 1 else ():
            if not any(key.endswith(f"a{name.split()[0]}") for key in present):
                return f"{name} was never asked"
        for name in roster:
            process = by_name.get(name)
            if process is None:
                return f"{name} never existed"
            failed = process.done and not process.crashed and not isinstance(process.join, Joined)
            if failed and not world.lossy:
                return f"{name} raised, and others returned with it: {process.join}"
    return ""


def is_whole(world: World) -> bool:
    """Whether every rank has a process whose join goes on."""
    return {process.rank for process in world.processes if not process.done} == set(range(world.size))


def is_over(world: World) -> bool:
    return not is_whole(world)


def is_at_rest(world: World) -> bool:
    """Whether every call has ended."""
    return all(process.done for process in world.processes)
