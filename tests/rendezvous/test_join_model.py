"""The join's protocol, explored: every order of what is done, with losses, crashes and deadlines at any moment."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

import pytest
from join_world import World, faults, first_world, is_whole, steps, unsafe

from harness.rendezvous import joiner, keeper
from harness.rendezvous.joiner import Joiner
from harness.rendezvous.keeper import Keeper
from harness.rendezvous.protocol import Joined

# Ranks, how many things may go wrong, and which ranks have a second process.
SMALL = [(1, 0, ()), (1, 2, ()), (2, 0, ()), (2, 1, ()), (3, 0, ())]
LARGE = [(3, 1, ()), (2, 0, (1,))]


class Explored:
    """Every world that can come of one, and which leads to which without anything going wrong."""

    def __init__(self, first: World) -> None:
        self.worlds = [first]
        self._numbers = {first: 0}
        self._before: list[list[int]] = [[]]
        queue = deque([first])
        while queue:
            world = queue.popleft()
            number = self._numbers[world]
            for after in steps(world):
                self._before[self._meet(after, queue)].append(number)
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


BROKEN: list[tuple[type, str, Callable[..., object]]] = [
    # The master takes everybody for present without asking.
    (Keeper, "_hear_count", lambda self, answers: keeper.replace(self, stage=keeper.COMMIT)),
    # It commits although the slots may have changed.
    (Keeper, "_hear_commit", lambda self, version: keeper.replace(self, stage=keeper.PUBLISH)),
    # Who leaves does not look whether the round was whole already.
    (Joiner, "hear_leaving", lambda self, replies: joiner.Left()),
    # Who looks around and finds another in its slot stays.
    (Joiner, "_hear_glance", lambda self, fate, holder: joiner.replace(self, stage=joiner.CALLED)),
]


@pytest.mark.parametrize(("machine", "name", "instead"), BROKEN, ids=lambda value: value if type(value) is str else "")
def test_a_protocol_that_is_broken_is_found_out(
    monkeypatch: pytest.MonkeyPatch, machine: type, name: str, instead: Callable[..., object]
) -> None:
    """Each shortcut makes a world unsafe, or stuck."""
    monkeypatch.setattr(machine, name, instead)
    explored = Explored(first_world(2, 2 if name == "_hear_commit" else 1, ()))
    assert any(unsafe(world) for world in explored.worlds) or explored.stuck()
