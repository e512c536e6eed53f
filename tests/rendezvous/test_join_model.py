"""The join's protocol, explored: every order of operations, with losses, crashes and deadlines at any moment."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

import pytest
from join_world import World, faults, first_world, is_whole, steps, unsafe

from harness.rendezvous import master_join, worker_join
from harness.rendezvous.master_join import MasterJoin
from harness.rendezvous.protocol import Joined, Withdrawn, missing
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

    def stuck(self) -> list[World]:
        """Worlds in which every rank has a process whose join goes on, and from which no join can end."""
        reached = {number for number, world in enumerate(self.worlds) if not is_whole(world)}
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


def uncalled(self: MasterJoin, version: str, slots: tuple[str, ...]) -> MasterJoin:
    if missing(slots):
        return self.at(master_join.GATHER)
    return self.at(master_join.COMMIT, version=int(version), names=slots)


BROKEN: list[tuple[type, str, Callable[..., object], tuple[int, ...]]] = [
    # The master does not call those who hold the slots.
    (MasterJoin, "_hear_inspect", lambda self, *replies: uncalled(self, *replies[-2:]), ()),
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
