"""Circles of moments: what would wait for itself is refused when the file is read, by name."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from harness.loader.tree.nodes import Location
from harness.scenario.moment import FaultMoment, Moment, StepMoment, parts
from harness.scenario.scenario import Fault, Step

Node = tuple[str, str, int, int]
"""What can happen: `begin` or `end` of a step in a rank's life, `injected` or `healed` of a fault, a rank's `start`."""


@dataclass(frozen=True)
class Circle:
    """Things that wait for each other.

    Attributes:
        names: in the order of the waiting, the first again at the end.
        location: of the first moment in the file that is part of it.
    """

    names: tuple[str, ...]
    location: Location


@dataclass
class Waiting:
    """Who waits for whom, of everything that must happen first; alternatives are left out.

    Attributes:
        starts: by rank its moment; None if it never comes.
        places: where the moment of a step, fault or rank stands in the file.
    """

    steps: tuple[Step, ...]
    faults: tuple[Fault, ...]
    starts: Mapping[int, Moment | None]
    places: Mapping[tuple[str, str], Location]
    edges: dict[Node, list[Node]] = field(default_factory=dict)
    owners: dict[Node, tuple[str, str]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._by_name = {step.name: step for step in self.steps}
        self._lives = self._lives_of_moments()

    def circle(self) -> Circle | None:
        """The first circle, or None."""
        self._join()
        cycle = _first_cycle(self.edges)
        return None if cycle is None else self._named(cycle)

    # -- edges -------------------------------------------------------------------------------------------------

    def _join(self) -> None:
        for rank, start in self.starts.items():
            for life in self._lives:
                self._add(("start", "", rank, life), self._before_start(rank, life, start))
        for rank in self.starts:
            for life in self._lives:
                self._join_rank(rank, life)
        for fault in self.faults:
            self._join_fault(fault)

    def _lives_of_moments(self) -> range:
        moments = [step.after for step in self.steps] + [fault.after for fault in self.faults]
        moments += [fault.until for fault in self.faults] + list(self.starts.values())
        lives = [step.life or 1 for step in self.steps]
        lives += [part.life for one in moments if one for part in parts(one) if isinstance(part, StepMoment)]
        return range(1, min(max(lives, default=1), 8) + 1)

    def _before_start(self, rank: int, life: int, start: Moment | None) -> list[Node]:
        if life == 1:
            return self._moment(start, ("start", str(rank))) if start is not None else []
        kills = [fault for fault in self.faults if fault.restarts_ranks and rank in fault.ranks and fault.until]
        return [("healed", kills[0].name, 0, 0)] if len(kills) == 1 else []

    def _join_rank(self, rank: int, life: int) -> None:
        above: dict[str, Node] = {}
        for step in self.steps:
            if rank not in step.ranks or step.life not in (None, life):
                continue
            begin, end = ("begin", step.name, rank, life), ("end", step.name, rank, life)
            self._add(begin, [above.get(step.thread, ("start", "", rank, life))])
            if step.after is not None:
                self._add(begin, self._moment(step.after, ("step", step.name)))
            self._add(end, [begin])
            above[step.thread] = end

    def _join_fault(self, fault: Fault) -> None:
        injected, healed = ("injected", fault.name, 0, 0), ("healed", fault.name, 0, 0)
        self._add(injected, self._moment(fault.after, ("fault", fault.name)))
        self._add(healed, [injected])
        if fault.until is not None:
            self._add(healed, self._moment(fault.until, ("until", fault.name)))

    def _moment(self, moment: Moment, owner: tuple[str, str]) -> list[Node]:
        """One node for the moment, which waits for all that it needs: so that many ranks may share it."""
        node: Node = ("moment", ":".join(owner), 0, 0)
        if node not in self.owners:
            self.owners[node] = owner
            self._add(node, list(dict.fromkeys(needed for part in parts(moment) for needed in self._needed(part))))
        return [node]

    def _needed(self, part: Moment) -> Iterator[Node]:
        if isinstance(part, FaultMoment):
            yield (part.state, part.fault, 0, 0)
        elif isinstance(part, StepMoment) and part.step in self._by_name and part.life in self._lives:
            step = self._by_name[part.step]
            ranks = part.ranks or step.ranks
            state = "begin" if "begun" in part.state else "end"
            # Without a rank's calls the others may still make the count: then it is not needed.
            if part.count is None or part.count > step.times * (len(ranks) - 1):
                yield from ((state, step.name, rank, part.life) for rank in ranks)

    def _add(self, node: Node, needed: list[Node]) -> None:
        self.edges.setdefault(node, []).extend(needed)

    # -- names -------------------------------------------------------------------------------------------------

    def _named(self, cycle: list[Node]) -> Circle:
        spoken = [self._spoken(node) for node in cycle if node[0] != "moment"]
        names = [name for index, name in enumerate(spoken) if index == 0 or name != spoken[index - 1]]
        if names[0] != names[-1] or len(names) == 1:
            names.append(names[0])
        owners = [self.owners[node] for node in cycle if node in self.owners]
        places = [self.places[owner] for owner in owners if owner in self.places]
        return Circle(tuple(names), min(places, key=_order) if places else ())

    def _spoken(self, node: Node) -> str:
        what, name, rank, _ = node
        if what == "start":
            return f"the start of rank {rank}"
        return f"the healing of {name!r}" if what == "healed" else repr(name)


def _order(location: Location) -> tuple[str, ...]:
    return tuple(f"{part:06}" if isinstance(part, int) else part for part in location)


def _first_cycle(edges: Mapping[Node, list[Node]]) -> list[Node] | None:
    """A cycle, found depth first without recursion; None if there is none."""
    finished: set[Node] = set()
    for root in edges:
        if root in finished:
            continue
        path: list[Node] = [root]
        on_path = {root}
        ahead = [iter(edges[root])]
        while path:
            following = next(ahead[-1], None)
            if following is None:
                finished.add(path[-1])
                on_path.discard(path.pop())
                ahead.pop()
            elif following in on_path:
                return path[path.index(following) :]
            elif following not in finished:
                path.append(following)
                on_path.add(following)
                ahead.append(iter(edges.get(following, ())))
    return None
