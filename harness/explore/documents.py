"""Scenario documents as plain values: the names in them, who refers to whom, and changes that leave no loose end."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from copy import deepcopy
from typing import Any

from harness.values.quantity import parse_duration

Document = dict[str, Any]
"""The keys of a scenario file without a matrix. A function here never changes the one that it is given."""
Entry = dict[str, Any]
"""A step, a fault or a claim."""

WORKERS, ALL = "workers", "all"


def copied(document: Mapping[str, Any]) -> Document:
    """A copy that may be changed."""
    return deepcopy(dict(document))


def steps_of(document: Mapping[str, Any]) -> list[Entry]:
    return list(document.get("workload") or ())


def faults_of(document: Mapping[str, Any]) -> list[Entry]:
    return list(document.get("faults") or ())


def claims_of(document: Mapping[str, Any]) -> list[Entry]:
    return list(document.get("expect") or ())


def name_of(entry: Mapping[str, Any]) -> str:
    """The name by which others refer to a step, a fault or a claim."""
    for key in ("id", "do", "inject", "check", "step"):
        if key in entry:
            return str(entry[key])
    return "any"


def names_of(document: Mapping[str, Any]) -> set[str]:
    """The names of its steps and faults."""
    return {name_of(entry) for entry in (*steps_of(document), *faults_of(document))}


def fresh_name(word: str, taken: Iterable[str]) -> str:
    """The word with the lowest number that makes a name of its own."""
    known = {*taken}
    return next(name for number in range(1, len(known) + 2) if (name := f"{word}-{number}") not in known)


def size_of(document: Mapping[str, Any]) -> int:
    """How many rank processes there are."""
    return int(document["world"]["size"])


def ranks_in(written: Any, size: int) -> tuple[int, ...]:
    """The ranks that a choice means; every rank if it is absent."""
    if written is None or written == ALL:
        return tuple(range(size))
    if written == WORKERS:
        return tuple(range(1, size))
    if isinstance(written, int):
        return (written,)
    if isinstance(written, str):
        first, _, last = written.partition("-")
        return tuple(range(int(first), int(last) + 1))
    return tuple(written)


def choice_of(ranks: Iterable[int], size: int) -> Any:
    """How a person writes these ranks; None if they are all."""
    chosen = sorted({*ranks})
    if len(chosen) == size:
        return None
    if len(chosen) == 1:
        return chosen[0]
    return WORKERS if chosen == list(range(1, size)) else chosen


def keys_in(steps: Iterable[Mapping[str, Any]]) -> tuple[str, ...]:
    """The keys of the store that these steps name, sorted."""
    found: set[str] = set()
    for step in steps:
        found |= {*parts_of(step.get("key")), *parts_of(step.get("keys")), *(step.get("values") or ())}
    return tuple(sorted(found))


def moments_of(document: Mapping[str, Any]) -> Iterator[Any]:
    """Every moment that the steps and faults wait for."""
    for entry in (*steps_of(document), *faults_of(document)):
        yield from (entry[key] for key in ("after", "until") if key in entry)


def parts_of(moment: Any) -> list[Any]:
    """The moments of a list of which all must come; one alone is its only part."""
    return [] if moment is None else list(moment) if isinstance(moment, list | tuple) else [moment]


def joined(*moments: Any) -> Any:
    """One moment of several; None if there is none."""
    parts: list[Any] = []
    for moment in moments:
        parts += [part for part in parts_of(moment) if part not in parts]
    return None if not parts else parts[0] if len(parts) == 1 else parts


def named_in(moment: Any) -> set[str]:
    """The words in a moment that may be names of steps and faults."""
    found: set[str] = set()
    for part in parts_of(moment):
        if isinstance(part, str):
            found.add(part)
        elif isinstance(part, Mapping):
            found |= {str(part[key]) for key in ("step", "fault") if key in part}
    return found


def without(moment: Any, names: Iterable[str]) -> Any:
    """The moment without what refers to these; None if nothing is left."""
    gone = {*names}
    return joined(*(part for part in parts_of(moment) if not named_in(part) & gone))


def removed(document: Mapping[str, Any], names: Iterable[str]) -> Document:
    """The document without these steps and faults, and without what refers to them.

    A fault that began or ended with one of them begins with the clock and ends with the play.
    """
    found, gone = copied(document), {*names}
    for key in ("workload", "faults"):
        if key in found:
            found[key] = [_loosened(entry, gone) for entry in found[key] if name_of(entry) not in gone]
    found["expect"] = [claim for claim in (_claim_without(one, gone) for one in claims_of(found)) if claim]
    if not found.get("faults"):
        found.pop("faults", None)
    return found


def _loosened(entry: Entry, gone: set[str]) -> Entry:
    found = dict(entry)
    for key in ("after", "until"):
        if key in found and named_in(found[key]) & gone:
            left = without(found[key], gone)
            found = {**found, key: left} if left is not None else {k: v for k, v in found.items() if k != key}
    return found


def _claim_without(claim: Entry, gone: set[str]) -> Entry | None:
    """A claim without these steps; None if it was about nothing else."""
    named = parts_of(claim.get("step"))
    left = [name for name in named if name not in gone]
    if len(left) == len(named):
        return claim
    return {**claim, "step": left if len(left) > 1 else left[0]} if left else None


def changed(document: Mapping[str, Any], key: str, name: str, change: Callable[[Entry], Entry]) -> Document:
    """The document with one step (`workload`) or fault (`faults`) changed."""
    found = copied(document)
    found[key] = [change(entry) if name_of(entry) == name else entry for entry in found[key]]
    return found


def renamed(document: Mapping[str, Any], old: str, new: str) -> Document:
    """The document with another name for one fault, also where moments name it."""
    found = copied(document)
    for key in ("workload", "faults"):
        for entry in found.get(key) or ():
            if key == "faults" and name_of(entry) == old:
                entry["id"] = new
            for end in ("after", "until"):
                if end in entry:
                    entry[end] = joined(*(_renamed_in(part, old, new) for part in parts_of(entry[end])))
    return found


def _renamed_in(part: Any, old: str, new: str) -> Any:
    if isinstance(part, Mapping):
        return {**part, "fault": new} if part.get("fault") == old else part
    return new if part == old else part


def timeout_ns_of(document: Mapping[str, Any]) -> int:
    """Of the world."""
    return parse_duration(document["world"]["timeout"]).offset_ns


def kind_of(document: Mapping[str, Any]) -> str:
    """Of the world."""
    return str(document["world"].get("kind", "processes"))


def masters_of(document: Mapping[str, Any]) -> set[int]:
    """The ranks that are given rank 0: they serve the store, and have no link."""
    given = document["world"].get("ranks") or {}
    return {rank for rank in range(size_of(document)) if (given.get(rank) or {}).get("as_rank", rank) == 0}


def present_of(document: Mapping[str, Any]) -> list[int]:
    """The ranks that come."""
    given = document["world"].get("ranks") or {}
    return [rank for rank in range(size_of(document)) if (given.get(rank) or {}).get("start") != "never"]
