"""Names of steps and faults: one name space, unique once something refers to it; and the ranks that entries name."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from harness.loader.keys.fields import Keys
from harness.loader.tree.nodes import Location, Node
from harness.loader.tree.problems import suggestion
from harness.scenario.scenario import EXIT, Step
from harness.values.suggest import nearest


class ReportProblem(Protocol):
    """How a problem is told: where in the file's tree, what, and what to write instead."""

    def __call__(self, location: Location, message: str, hint: str = "", key: bool = False) -> None:
        """`key` puts the caret under the key, not under its value."""


@dataclass(frozen=True)
class Entry:
    """One entry of a list in the file.

    Attributes:
        family: `step`, `fault`, `claim`, `known` or `waiver`.
        kind: the verb, the kind of fault, the check; empty for others.
        model: what it says; None if it is wrong, which was told.
        raw_name: its name as the file gives it.
    """

    family: str
    kind: str
    model: Any
    node: Node
    location: Location
    raw_name: str = ""

    @property
    def line(self) -> int:
        return self.node.position.line

    def keys(self) -> Keys:
        """The model; only for entries that are sound."""
        assert isinstance(self.model, Keys)
        return self.model


def unique_names(raw_names: Sequence[str]) -> list[str]:
    """The names, later duplicates with `.2`, `.3` behind them."""
    seen: dict[str, int] = {}
    names = []
    for name in raw_names:
        seen[name] = seen.get(name, 0) + 1
        names.append(name if seen[name] == 1 else f"{name}.{seen[name]}")
    return names


@dataclass
class Names:
    """What a name of a moment or a claim means.

    Attributes:
        entries: steps, then faults, in the order of the file.
        steps: by unique name, the steps that are sound.
    """

    entries: Sequence[Entry]
    report: ReportProblem
    unique: dict[int, str] = field(default_factory=dict)
    steps: dict[str, Step] = field(default_factory=dict)

    def __post_init__(self) -> None:
        names = unique_names([entry.raw_name for entry in self.entries])
        self.unique = {id(entry): name for entry, name in zip(self.entries, names, strict=True)}

    def of(self, entry: Entry) -> str:
        """The unique name of an entry."""
        return self.unique[id(entry)]

    def entry(self, name: str, location: Location, wanted: str = "") -> Entry | None:
        """The one entry of that name; None if there is none or several, which is told.

        Args:
            wanted: `step` or `fault` if nothing else will do.
        """
        found = [entry for entry in self.entries if entry.raw_name == name]
        if len(found) > 1:
            candidates = " and ".join(f"the {entry.family} in line {entry.line}" for entry in found)
            self.report(location, f"the name {name!r} can mean {candidates}", "give one of them another id")
            return None
        if not found:
            known = [entry.raw_name for entry in self.entries if entry.raw_name and wanted in ("", entry.family)]
            what = wanted or "step or fault"
            others = list(dict.fromkeys([*known, *([EXIT] if wanted != "fault" else [])]))
            self.report(location, f"there is no {what} named {name!r}", suggestion(name, others, "there is"))
            return None
        if wanted and found[0].family != wanted:
            other = found[0].family
            self.report(
                location, f"{name!r} is the {other} in line {found[0].line}, not a {wanted}", f"name a {wanted}"
            )
            return None
        return found[0]


def resolve_ranks(value: Any, size: int, location: Location, report: ReportProblem) -> tuple[int, ...]:
    """The rank processes that a choice names, in order; those that do not exist are told and left out."""
    if value is None or value == "all":
        return tuple(range(size))
    if value == "workers":
        if size == 1:
            report(location, "a world of size 1 has no workers", "name rank 0, or make the world larger")
        return tuple(range(1, size))
    named = _named_ranks(value, location, report)
    absent = sorted({rank for rank in named if rank >= size})
    if absent:
        several = f"are no ranks {', '.join(map(str, absent[:5]))}"
        which = f"is no rank {absent[0]}" if len(absent) == 1 else several
        report(location, f"there {which} in a world of size {size}", f"ranks are 0 to {size - 1}")
    return tuple(sorted({rank for rank in named if rank < size}))


def resolve_pairs(
    value: Any, size: int, location: Location, report: ReportProblem
) -> tuple[tuple[tuple[int, ...], tuple[int, ...]], ...]:
    """Both sides of each pair; ranks that do not exist, or stand on both sides of a pair, are told."""
    return tuple(_resolve_pair(pair, size, (*location, index), report) for index, pair in enumerate(value))


def _resolve_pair(
    pair: Any, size: int, location: Location, report: ReportProblem
) -> tuple[tuple[int, ...], tuple[int, ...]]:
    first, second = (resolve_ranks(side, size, (*location, index), report) for index, side in enumerate(pair))
    both = sorted({*first} & {*second})
    if both:
        report(location, f"rank {both[0]} stands on both sides of a pair", "name it on one side")
    return first, second


def _named_ranks(value: Any, location: Location, report: ReportProblem) -> Iterable[int]:
    if isinstance(value, int):
        return (value,)
    if isinstance(value, list):
        return tuple(value)
    first, last = (int(part) for part in value.split("-"))
    if first > last:
        report(location, f"{value!r} goes backwards", f"write {last}-{first}")
    return range(first, last + 1)


def ranks_within(
    ranks: tuple[int, ...], allowed: tuple[int, ...], location: Location, whose: str, report: ReportProblem
) -> tuple[int, ...]:
    """The ranks, of which those that have no such call are told."""
    absent = [rank for rank in ranks if rank not in allowed]
    if absent:
        who = f"rank {absent[0]} has" if len(absent) == 1 else f"ranks {', '.join(map(str, absent[:5]))} have"
        report(location, f"{who} no {whose}", f"it is a step of rank {_spoken(allowed)}")
    return ranks


def _spoken(ranks: tuple[int, ...]) -> str:
    if len(ranks) > 2 and ranks == tuple(range(ranks[0], ranks[-1] + 1)):
        return f"{ranks[0]} to {ranks[-1]}"
    return ", ".join(map(str, ranks))


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """A hint for a word that should be one of a few."""
    return suggestion(word, list(known)) if nearest(word, known) else f"known: {', '.join(known)}"
