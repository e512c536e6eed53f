"""The join's protocol, explored: every order of what is done, with losses, crashes and deadlines at any moment."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

import pytest
from join_world import World, faults, first_world, is_whole, steps, unsafe

from harness.rendezvous import joiner, keeper
from harness.rendezvous.joiner import Joiner
from harness.rendezvous.keeper import Keeper
from harness.rendezvous.protocol import Joined, Left, missing

# Ranks, how many things may go wrong, and which ranks have a second process.
SMALL = [(1, 0, ()), (1, 2, ()), (2, 0, ()), (2, 1, ()), (3, 0, ())]
LARGE = [(3, 1, ()), (2, 0, (1,))]


class Explored:
    """Every world that can come of one, and which leads to which without anything going wrong.

    Args:
        until: stop at the first world of which it is true; that is the last one then.
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
        """Worlds in which every rank has a process at work, and from which none of them can come to an end."""
        reached = {number for number, world in enumerate(self.worlds) if not is_whole(world)}
        queue = list(reached)
        while queue:
            for before in self._before[queue.pop()]:
                if before not in reached:
                    reached.add(before)
                    queue.append(before)
        return [world for number, world in enumerate(self.worlds) if number not in reached]


def check(size: int, mishaps: int, doubled: tuple[int, ...]) -> Explored:
    explored = Explored(first_world(size, mishaps, doubled))
    assert [why for world in explored.worlds if (why := unsafe(world))] == []
    assert explored.stuck() == []
    return explored


@pytest.mark.parametrize(("size", "mishaps", "doubled"), SMALL)
def test_the_join_is_safe_and_comes_to_an_end(size: int, mishaps: int, doubled: tuple[int, ...]) -> None:
    """Who returned agrees, on those who joined; who raised is on no roster, unless a message or a process was lost."""
    explored = check(size, mishaps, doubled)
    assert any(all(isinstance(p.machine, Joined) for p in world.processes) for world in explored.worlds)


@pytest.mark.nightly
@pytest.mark.parametrize(("size", "mishaps", "doubled"), LARGE)
def test_larger_worlds_are_safe_too(size: int, mishaps: int, doubled: tuple[int, ...]) -> None:
    """Three ranks of which anything may go wrong with one; two processes that were told the same rank."""
    check(size, mishaps, doubled)


def uncalled(self: Keeper, version: str, slots: tuple[str, ...]) -> Keeper:
    if missing(slots):
        return self._replace(stage=keeper.GATHER)
    return self._replace(stage=keeper.COMMIT, version=int(version), names=slots)


BROKEN: list[tuple[type, str, Callable[..., object], tuple[int, ...]]] = [
    # The master does not ask those who hold the slots whether they are still there.
    (Keeper, "_hear_inspect", lambda self, *replies: uncalled(self, *replies[-2:]), ()),
    # It commits although a join was taken back since it looked.
    (Keeper, "_hear_commit", lambda self, version: self._replace(stage=keeper.PUBLISH), ()),
    # Who leaves does not look whether the round was whole already.
    (Joiner, "hear_leaving", lambda self, replies: Left(), ()),
    # Who finds its rank taken replaces it in a round that is whole.
    (Joiner, "_hear_replace", lambda self, *replies: self._replace(stage=joiner.EXPEL), (1,)),
]


@pytest.mark.parametrize(("machine", "name", "instead", "doubled"), BROKEN, ids=[case[1] for case in BROKEN])
def test_a_protocol_that_is_broken_is_found_out(
    monkeypatch: pytest.MonkeyPatch, machine: type, name: str, instead: Callable[..., object], doubled: tuple[int, ...]
) -> None:
    """Each shortcut makes a world that must not be."""
    monkeypatch.setattr(machine, name, instead)
    explored = Explored(first_world(2, 0 if doubled else 1, doubled), until=unsafe)
    assert unsafe(explored.worlds[-1])
