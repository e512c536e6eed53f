"""What the values of a cell are read with, pydantic's `context`: the world's size and timeout, and the names."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TypeVar

from pydantic_core import PydanticCustomError

from harness.loader.tree.matrix import raw_name
from harness.loader.tree.nodes import Location, Mapping, items_of
from harness.loader.tree.problems import suggestion
from harness.scenario.scenario import EXIT
from harness.values.quantity import Duration, parse_duration

MOST_RANKS = 1024
SECOND_NS = 1_000_000_000
DEFAULT_TIMEOUT_NS = 5 * SECOND_NS
MAIN = "main"
"""The handler, and the thread, of a step that names none."""
REFUSED = "refused"
"""The type of the errors that `Scope.refuse` raises."""

Value = TypeVar("Value")


@dataclass(frozen=True)
class Named:
    """A step or a fault as others name it.

    Attributes:
        family: `step` or `fault`.
        raw: its name in the file.
        name: the unique name; later duplicates have `.2`, `.3` behind them.
    """

    family: str
    raw: str
    name: str
    line: int
    location: Location


@dataclass(frozen=True)
class Scope:
    """What a cell's values may refer to.

    Attributes:
        timeout_ns: of the world.
        named: steps, then faults, in the order of the file: one name space.
        handlers: the handlers that steps build; None if they are not known.
        lenient: a value that refers to nothing is replaced, not refused: that it is wrong was reported already.
    """

    size: int = MOST_RANKS
    timeout_ns: int = DEFAULT_TIMEOUT_NS
    named: tuple[Named, ...] = ()
    handlers: tuple[str, ...] | None = None
    lenient: bool = False

    def refuse(self, message: str, hint: str, instead: Value) -> Value:
        """Raise the problem; in a lenient scope return `instead`."""
        if self.lenient:
            return instead
        raise PydanticCustomError(REFUSED, "{message}", {"message": message, "hint": hint})

    def at(self, location: Location) -> Named:
        """The step or fault at a location of the file."""
        return next(one for one in self.named if one.location == location)

    def find(self, name: str, family: str = "") -> Named | None:
        """The one step or fault of that name in the file, refused if there is none or several.

        Args:
            family: `step` or `fault` if only that will do.
        """
        found = [one for one in self.named if one.raw == name]
        if len(found) > 1:
            candidates = " and ".join(f"the {one.family} in line {one.line}" for one in found)
            return self.refuse(f"the name {name!r} can mean {candidates}", "give one of them another id", None)
        if not found:
            known = [one.raw for one in self.named if one.raw and family in ("", one.family)]
            others = list(dict.fromkeys([*known, *([EXIT] if family != "fault" else [])]))
            message = f"there is no {family or 'step or fault'} named {name!r}"
            return self.refuse(message, suggestion(name, others, "there is"), None)
        if family and found[0].family != family:
            message = f"{name!r} is the {found[0].family} in line {found[0].line}, not a {family}"
            return self.refuse(message, f"name a {family}", None)
        return found[0]

    def handler(self, name: str) -> str:
        """The name of a handler; one that no step builds is refused."""
        return name if self.builds(name) else self.refuse(*self.no_handler(name), name)

    def builds(self, handler: str) -> bool:
        """Whether steps build this handler, as far as that is known."""
        return self.handlers is None or handler in (MAIN, *self.handlers)

    def no_handler(self, name: str) -> tuple[str, str]:
        """The problem that no step builds a handler, and what to write instead."""
        hint = suggestion(name, self.handlers or (), "steps build") or "add `{do: rendezvous}`"
        return f"no step builds a handler {name!r}", hint

    def ranks(self, choice: int | str | list[int]) -> tuple[int, ...]:
        """The rank processes that a choice means, in order; those that do not exist are refused."""
        if choice == "all":
            return _span(0, self.size)
        if choice == "workers":
            workers = _span(1, self.size)
            hint = "name rank 0, or make the world larger"
            return workers or self.refuse("a world of size 1 has no workers", hint, ())
        chosen = self._chosen(choice)
        if isinstance(chosen, range):
            absent: Sequence[int] = range(max(chosen.start, self.size), chosen.stop)
            present = _span(chosen.start, min(chosen.stop, self.size))
        else:
            absent = sorted({rank for rank in chosen if rank >= self.size})
            present = tuple(sorted({rank for rank in chosen if rank < self.size}))
        if absent:
            several = f"are no ranks {', '.join(map(str, absent[:5]))}"
            which = f"is no rank {absent[0]}" if len(absent) == 1 else several
            message = f"there {which} in a world of size {self.size}"
            return self.refuse(message, f"ranks are 0 to {self.size - 1}", present)
        return present

    def _chosen(self, choice: int | str | list[int]) -> Sequence[int]:
        if isinstance(choice, int):
            return (choice,)
        if isinstance(choice, list):
            return choice
        first, last = (int(part) for part in choice.split("-"))
        if first > last:
            return self.refuse(f"{choice!r} goes backwards", f"write {last}-{first}", ())
        return range(first, last + 1)


@lru_cache(maxsize=128)
def _span(first: int, end: int) -> tuple[int, ...]:
    """The ranks from `first` to before `end`; one tuple for all entries that mean them."""
    return tuple(range(first, end))


def unique_names(raw_names: Sequence[str]) -> list[str]:
    """The names, later duplicates with `.2`, `.3` behind them."""
    seen: dict[str, int] = {}
    names = []
    for name in raw_names:
        seen[name] = seen.get(name, 0) + 1
        names.append(name if seen[name] == 1 else f"{name}.{seen[name]}")
    return names


def scope_of(tree: Mapping) -> Scope:
    """The scope of a cell; a lenient one if the size or the timeout of its world is malformed."""
    sections = (("workload", "step"), ("faults", "fault"))
    entries = [
        (family, raw_name(node, section), node.position.line, (section, index))
        for section, family in sections
        for index, node in enumerate(items_of(tree, section))
    ]
    names = unique_names([raw for _, raw, _, _ in entries])
    named = tuple(
        Named(family, raw, name, line, location)
        for (family, raw, line, location), name in zip(entries, names, strict=True)
    )
    world = tree.get("world")
    size = world.scalar("size") if isinstance(world, Mapping) else None
    if not isinstance(world, Mapping) or type(size) is not int or not 1 <= size <= MOST_RANKS:
        return Scope(named=named, lenient=True)
    try:
        timeout = (
            parse_duration(world.scalar("timeout")) if "timeout" in world.entries else Duration(DEFAULT_TIMEOUT_NS)
        )
    except ValueError:
        return Scope(size, named=named, lenient=True)
    usable = not timeout.timeouts and timeout.offset_ns > 0
    return Scope(size, timeout.offset_ns if usable else DEFAULT_TIMEOUT_NS, named)
