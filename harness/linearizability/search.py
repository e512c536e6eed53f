"""The search for an order of operations that a sequential model allows: Wing and Gong's, with Lowe's cache.

G. Lowe, Testing for linearizability, Concurrency and Computation: Practice and Experience 29(4), 2017.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from harness.linearizability.model import IMPOSSIBLE, State, Step

LINEARIZABLE, NOT_LINEARIZABLE, UNDECIDED = "linearizable", "not linearizable", "undecided"

FOREVER = 1 << 80
"""Later than any time in nanoseconds."""

PASSED_OVER = 32
"""So many operations that are passed over cost one step: without that, thousands of unknown outcome take minutes."""


@dataclass(frozen=True)
class Operation:
    """One operation on the state.

    Attributes:
        step: what it does.
        begun_ns, ended_ns: it took effect no earlier, and if it did at all, no later; None means at any later time.
        must: whether it certainly took effect. One that may have has no end.
        after: positions of operations that took effect before it, if it did.
        alike: operations that may have taken effect, do the same, and have the same text here, differ only in their
            beginning; empty if it is like no other.
        is_read: whether it changes no state at all, wherever it stands in an order.
    """

    step: Step
    begun_ns: int
    ended_ns: int | None = None
    must: bool = True
    after: tuple[int, ...] = ()
    alike: str = ""
    is_read: bool = False


@dataclass
class Budget:
    """How long a search may go on, in steps: each tries one operation in one state.

    Attributes:
        steps: how many are left; 0 or less if they are used up.
        is_late: asked now and then; True ends the search. A caller that may read the clock gives a deadline here.
    """

    steps: int
    is_late: Callable[[], bool] | None = None

    def spend(self) -> bool:
        """Take one step; False if none is left."""
        self.steps -= 1
        if self.steps < 0:
            return False
        return self.is_late is None or bool(self.steps & 0x3FF) or not self.is_late()


@dataclass(frozen=True)
class Order:
    """What a search found.

    Attributes:
        verdict: `LINEARIZABLE`, `NOT_LINEARIZABLE`, or `UNDECIDED` if the budget did not suffice.
        longest: positions of operations in the order that fits the most of them; all that must be, if linearizable.
        state: the state after these.
    """

    verdict: str
    longest: tuple[int, ...]
    state: State


class _Point(NamedTuple):
    """A place in the search: what has taken effect so far, as bits. A tuple, because millions are made.

    Attributes:
        low: all operations that must be are done below this place.
        done: which of those from `low` on are done, the lowest bit for `low`.
        maybes: which of those that may have taken effect have.
        number: how many that must be are done.
        last, before: the position of the last operation, and the point before it.
    """

    low: int
    done: int
    maybes: int
    state: State
    number: int = 0
    last: int = -1
    before: _Point | None = None

    def order(self) -> tuple[int, ...]:
        found: list[int] = []
        point = self
        while point.before is not None:
            found.append(point.last)
            point = point.before
        return tuple(reversed(found))


def search(
    operations: Sequence[Operation],
    initial: State,
    budget: Budget,
    likely: Callable[[State], bool] | None = None,
) -> Order:
    """Whether some order of the operations is allowed by the model and by their times; the budget is used up.

    Args:
        likely: operations that lead to such a state are tried first; that changes how long it takes, and no verdict.
    """
    return _Search(operations, budget, likely).run(initial)


class _Search:
    def __init__(self, operations: Sequence[Operation], budget: Budget, likely: Callable[[State], bool] | None) -> None:
        self._budget = budget
        self._likely = likely
        by_begin = sorted(range(len(operations)), key=lambda position: operations[position].begun_ns)
        self._musts = [position for position in by_begin if operations[position].must]
        self._maybes = [position for position in by_begin if not operations[position].must]
        self._operations = operations
        ends = (operations[position].ended_ns for position in self._musts)
        self._ends = [FOREVER if end is None else end for end in ends]
        self._begins = [operations[position].begun_ns for position in self._musts]
        self._place = {position: place for place, position in enumerate(self._musts)}
        self._bit = {position: 1 << place for place, position in enumerate(self._maybes)}
        self._groups = self._grouped()
        # One that others come after may have to be done although it changes nothing.
        self._awaited = {earlier for operation in operations for earlier in operation.after}

    def _grouped(self) -> list[list[int]]:
        """Those that may have taken effect, by their beginning; of those that are alike, the earliest is used first."""
        alike: dict[str, list[int]] = {}
        groups: list[list[int]] = []
        for position in self._maybes:
            text = self._operations[position].alike
            if text in alike:
                alike[text].append(position)
                continue
            groups.append([position])
            if text:
                alike[text] = groups[-1]
        return groups

    def run(self, initial: State) -> Order:
        start = _Point(0, 0, 0, initial)
        best = start
        seen: set[tuple[int, int, int, Any]] = set()
        stack: list[Iterator[_Point]] = [iter((start,))]
        while stack:
            point = next(stack[-1], None)
            if point is None:
                stack.pop()
                continue
            mark = (point.low, point.done, point.maybes, point.state)
            if mark in seen:
                continue
            seen.add(mark)
            if point.number > best.number:
                best = point
            if point.number == len(self._musts):
                return Order(LINEARIZABLE, point.order(), point.state)
            following = self._following(point)
            if following is None:
                return Order(UNDECIDED, best.order(), best.state)
            stack.append(iter(following))
        return Order(NOT_LINEARIZABLE, best.order(), best.state)

    def _following(self, point: _Point) -> list[_Point] | None:
        """Every point one operation further; one alone if a read is possible now. None without budget.

        A read that is possible now may always come first: whatever order exists from here, exists with it moved to its
        front. That is not true of a write that leaves this state as it is: it may be needed after a delete.
        """
        found: list[_Point] = []
        places, until_ns = self._possible_now(point)
        if len(places) > 1:
            places.sort(key=self._ends.__getitem__)
        for place in places:
            if not self._budget.spend():
                return None
            position = self._musts[place]
            state = self._state_after(position, point)
            if state is IMPOSSIBLE:
                continue
            further = self._with_must(point, place, position, state)
            if self._operations[position].is_read:
                return [further]
            found.append(further)
        likely = self._likely
        if likely is not None and len(found) > 1:
            found.sort(key=lambda further: not likely(further.state))
        passed_over = 0
        for group in self._groups:
            if self._operations[group[0]].begun_ns > until_ns:
                break
            place = bisect_left(group, True, key=lambda position: not point.maybes & self._bit[position])
            if place == len(group) or self._operations[group[place]].begun_ns > until_ns:
                passed_over += 1
                continue
            position, bit = group[place], self._bit[group[place]]
            if not self._budget.spend():
                return None
            state = self._state_after(position, point)
            if state is not IMPOSSIBLE and (state != point.state or position in self._awaited):
                maybes = point.maybes | bit
                found.append(_Point(point.low, point.done, maybes, state, point.number, position, point))
        self._budget.steps -= passed_over // PASSED_OVER
        return found

    def _possible_now(self, point: _Point) -> tuple[list[int], int]:
        """Which that must be may come next: those that began before any other that is left had ended; and that end."""
        places, until_ns, done = [], FOREVER, point.done
        for place in range(point.low, len(self._musts)):
            if done & 1:
                done >>= 1
                continue
            done >>= 1
            if self._begins[place] > until_ns:
                break
            places.append(place)
            until_ns = min(until_ns, self._ends[place])
        return places, until_ns

    def _state_after(self, position: int, point: _Point) -> State:
        operation = self._operations[position]
        if operation.after and not all(self._is_done(earlier, point) for earlier in operation.after):
            return IMPOSSIBLE
        return operation.step(point.state)

    def _is_done(self, position: int, point: _Point) -> bool:
        if position in self._bit:
            return bool(point.maybes & self._bit[position])
        place = self._place[position]
        return place < point.low or bool(point.done >> (place - point.low) & 1)

    def _with_must(self, point: _Point, place: int, position: int, state: State) -> _Point:
        done = point.done | 1 << (place - point.low)
        low = point.low
        while done & 1:
            done >>= 1
            low += 1
        return _Point(low, done, point.maybes, state, point.number + 1, position, point)
