"""The join's protocol, explored: every order of operations, with losses, crashes and deadlines at any moment."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from functools import cache

import pytest
from join_world import (
    World,
    faults,
    first_world,
    is_at_rest,
    is_over,
    steps,
    unsafe,
    with_closer,
    with_late_worker,
)

from harness.rendezvous import closing, master_join, worker_join
from harness.rendezvous.closing import Closing
from harness.rendezvous.master_join import MasterJoin
from harness.rendezvous.operations import Replies
from harness.rendezvous.protocol import Joined, Request, Withdrawn, missing
from harness.rendezvous.worker_join import WorkerJoin

# Ranks, how many faults may happen, and which ranks have a second process.
SMALL = [(1, 0, ()), (1, 2, ()), (2, 0, ()), (2, 1, ()), (3, 0, ())]
LARGE = [(3, 1, ()), (2, 0, (1,))]


class Explored:
    """Every world that can follow from one, and which leads to which without faults.

    Args:
        until: stop at the first world for which it is true, which is then the last one.
    """

    def __init__(self, first: World, until: Callable[[World], object] = lambda world: False) -> None:
        self.worlds = [first]
        self._numbers = {first: 0}
        self._before: list[list[int]] = [[]]
        queue = deque([first])
        while queue:
            world = queue.popleft()
            number = self._numbers[world]
            for after in steps(world):
                self._before[self._meet(after, queue)].append(number)
                if until(after):
                    self.worlds.append(after)
                    return
            for after in faults(world):
                self._meet(after, queue)

    def _meet(self, world: World, queue: deque[World]) -> int:
        number = self._numbers.get(world)
        if number is None:
            number = self._numbers[world] = len(self.worlds)
            self.worlds.append(world)
            self._before.append([])
            queue.append(world)
        return number

    def stuck(self, ended: Callable[[World], bool] = is_over) -> list[World]:
        """Worlds that lead to no end; without another meaning, one rank has no process any more whose join goes on."""
        reached = {number for number, world in enumerate(self.worlds) if ended(world)}
        queue = list(reached)
        while queue:
            for before in self._before[queue.pop()]:
                if before not in reached:
                    reached.add(before)
                    queue.append(before)
        return [world for number, world in enumerate(self.worlds) if number not in reached]


def check(size: int, fault_count: int, doubled: tuple[int, ...]) -> Explored:
    explored = Explored(first_world(size, fault_count, doubled))
    assert [why for world in explored.worlds if (why := unsafe(world))] == []
    assert explored.stuck() == []
    return explored


@pytest.mark.parametrize(("size", "fault_count", "doubled"), SMALL)
def test_the_join_is_safe_and_ends(size: int, fault_count: int, doubled: tuple[int, ...]) -> None:
    """Those that returned agree on who joined; one that raised is on no roster, unless something was lost."""
    explored = check(size, fault_count, doubled)
    assert any(all(isinstance(p.join, Joined) for p in world.processes) for world in explored.worlds)


@pytest.mark.nightly
@pytest.mark.parametrize(("size", "fault_count", "doubled"), LARGE)
def test_larger_worlds_are_safe_too(size: int, fault_count: int, doubled: tuple[int, ...]) -> None:
    """Three ranks with one fault at any moment; two processes that were given the same rank."""
    check(size, fault_count, doubled)


@cache
def worlds_to_close() -> dict[str, World]:
    """Where set_closed is called: before all; or when a worker comes late, for a round that is whole or just now."""
    begun = Explored(first_world(2, 0))
    joined = next(world for world in begun.worlds if all(isinstance(one.join, Joined) for one in world.processes))
    just_whole = next(world for world in begun.worlds if world.processes[0].join.stage == master_join.PUBLISH)
    return {
        "first round": with_closer(first_world(2, 0)),
        "late worker": with_closer(with_late_worker(joined)),
        "late worker of a round just whole": with_closer(with_late_worker(just_whole)),
    }


CLOSED_IN = ("first round", "late worker", "late worker of a round just whole")


@pytest.mark.parametrize("where", CLOSED_IN)
def test_a_run_that_is_closed_at_any_moment_leaves_nobody_waiting(where: str) -> None:
    """Every call can end, whichever order: a join returns with all others of its round, or each is refused."""
    explored = Explored(worlds_to_close()[where])
    assert [why for world in explored.worlds if (why := unsafe(world))] == []
    assert explored.stuck(is_at_rest) == []


def all_refused(self: Closing, replies: Replies) -> Closing:
    """As `hear`, but a round that is whole is refused as well."""
    open_ = [0 if isinstance(reply, int) else reply for reply in replies]
    return HEAR(self, open_ if self.stage == closing.REFUSE else replies)


HEAR = Closing.hear


def closed_read_first(self: MasterJoin) -> Request:
    version, *standing, slots = ASK(self).operations
    return Request((*standing, version, slots))


def heard_in_that_order(self: MasterJoin, closed: str, record: str, version: str, slots: tuple[str, ...]) -> object:
    return HEAR_INSPECT(self, version, closed, record, slots)


ASK, HEAR_INSPECT = MasterJoin._ask_inspect, MasterJoin._hear_inspect
BROKEN_CLOSING: list[tuple[str, dict[tuple[type, str], Callable[..., object]], str]] = [
    ("a round that is whole is refused", {(Closing, "hear"): all_refused}, "first round"),
    (
        "the round after the record's is not looked at",
        {(Closing, "_rounds"): lambda self: (self.record.incarnation.round(self.record.round),)},
        "late worker of a round just whole",
    ),
    (
        "the master reads the mark before the version",
        {(MasterJoin, "_ask_inspect"): closed_read_first, (MasterJoin, "_hear_inspect"): heard_in_that_order},
        "first round",
    ),
]


@pytest.mark.parametrize(
    ("instead", "where"), [case[1:] for case in BROKEN_CLOSING], ids=[case[0] for case in BROKEN_CLOSING]
)
def test_a_broken_closing_is_detected(
    monkeypatch: pytest.MonkeyPatch, instead: dict[tuple[type, str], Callable[..., object]], where: str
) -> None:
    """A round is split, or a worker is never answered."""
    for (state, name), method in instead.items():
        monkeypatch.setattr(state, name, method)
    explored = Explored(worlds_to_close()[where])
    assert any(unsafe(world) for world in explored.worlds) or explored.stuck(is_at_rest)


def uncalled(self: MasterJoin, version: str, slots: tuple[str, ...]) -> MasterJoin:
    if missing(slots):
        return self.at(master_join.GATHER)
    return self.at(master_join.COMMIT, version=int(version), names=slots)


BROKEN: list[tuple[type, str, Callable[..., object], tuple[int, ...]]] = [
    # The master does not call those who hold the slots.
    (MasterJoin, "_hear_inspect", lambda self, *replies: uncalled(self, replies[0], replies[-1]), ()),
    # It commits although a join was withdrawn since it read the slots.
    (MasterJoin, "_hear_commit", lambda self, version: self.at(master_join.PUBLISH), ()),
    # A worker that withdraws does not read whether the round was whole already.
    (WorkerJoin, "hear_withdrawal", lambda self, replies: Withdrawn(), ()),
    # A worker whose slot is taken replaces the other in a round that is whole.
    (WorkerJoin, "_hear_replace", lambda self, *replies: self.at(worker_join.EXPEL), (1,)),
]


@pytest.mark.parametrize(("state", "name", "instead", "doubled"), BROKEN, ids=[case[1] for case in BROKEN])
def test_a_broken_protocol_is_detected(
    monkeypatch: pytest.MonkeyPatch, state: type, name: str, instead: Callable[..., object], doubled: tuple[int, ...]
) -> None:
    """Each shortcut leads to a world that must not exist."""
    monkeypatch.setattr(state, name, instead)
    explored = Explored(first_world(2, 0 if doubled else 1, doubled), until=unsafe)
    assert unsafe(explored.worlds[-1])
