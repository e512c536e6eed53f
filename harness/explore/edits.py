"""Changes of a scenario's document that keep it whole: what referred to something that is gone is repaired."""

from __future__ import annotations

import copy
import re
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Any

from harness.values.quantity import is_duration, parse_duration

Document = Mapping[str, Any]

NEUTRAL = "ends"
"""The name of a claim that is there only because a file needs one; that it is violated is no find."""

_MOMENTS = ("after", "until")
ALL, WORKERS = "all", "workers"


class Lost(Exception):
    """What a document is about does not survive a change, so the change is none."""


def entries(document: Document, section: str) -> list[dict[str, Any]]:
    """The entries of `workload`, `faults` or `expect`."""
    return list(document.get(section) or ())


def name_of(entry: Mapping[str, Any]) -> str:
    """The name of a step, a fault or a claim, as the loader gives it, without the number of a duplicate."""
    for key in ("id", "do", "inject", "check", "step"):
        value = entry.get(key)
        if isinstance(value, str):
            return value
        if isinstance(value, list | tuple):
            return "+".join(map(str, value))
    return "any" if "any" in entry else ""


def simple_moments(moment: Any) -> list[Any]:
    """The parts of a moment: itself, or those of a list; none if there is no moment."""
    return [] if moment is None else list(moment) if isinstance(moment, list | tuple) else [moment]


# -- what a fault is anchored to ----------------------------------------------------------------------------------


def anchor_kind(document: Document, fault: Mapping[str, Any]) -> str:
    """At which kind of moment a fault begins to work, without ranks, counts and times.

    `start`, `time`, `reply get`, `rendezvous begun`, `latency healed`; of a fault that waits for a message itself
    also that message.
    """
    kinds = [_moment_kind(document, part) for part in simple_moments(fault.get("after"))] or ["start"]
    own = [f"{side} {fault[side]}" for side in ("query", "reply") if fault.get(side)]
    return "+".join(dict.fromkeys([*sorted(kinds), *own])) if not own or kinds != ["start"] else own[0]


def _moment_kind(document: Document, moment: Any) -> str:
    if isinstance(moment, Mapping):
        if "wire" in moment:
            return " ".join(f"{side} {moment['wire'][side]}" for side in ("query", "reply") if side in moment["wire"])
        if "fault" in moment:
            return f"{_kind_of(document, 'faults', moment['fault'])} {moment.get('is') or 'injected'}"
        return f"{_kind_of(document, 'workload', moment.get('step'))} {_state(moment.get('is'))}"
    if is_duration(moment):
        return "start" if parse_duration(moment).resolve(1) == 0 else "time"
    if any(name_of(fault) == moment for fault in entries(document, "faults")):
        return f"{_kind_of(document, 'faults', moment)} injected"
    return f"{_kind_of(document, 'workload', moment)} ended"


def _state(states: Any) -> str:
    words = [states] if isinstance(states, str) else list(states or ())
    return "begun" if words == ["begun"] else "ended"


def _kind_of(document: Document, section: str, name: Any) -> str:
    """The verb of a step, or the kind of a fault, by its name."""
    key = "do" if section == "workload" else "inject"
    return str(next((entry[key] for entry in entries(document, section) if name_of(entry) == name), name))


# -- without steps and faults -------------------------------------------------------------------------------------


def without(document: Document, steps: Collection[int] = (), faults: Collection[int] = ()) -> dict[str, Any]:
    """The document without the steps and faults at these places.

    What waited for a removed fault waits for what that fault waited for; what waited for a removed step begins when
    the step above has ended, or at the start. A fault that would be healed then is not healed. A claim about nothing
    goes, and so does one whose time counts from something that is gone.
    """
    changed: dict[str, Any] = copy.deepcopy(dict(document))
    old_steps, old_faults = entries(changed, "workload"), entries(changed, "faults")
    changed["workload"] = [step for place, step in enumerate(old_steps) if place not in steps]
    changed["faults"] = [fault for place, fault in enumerate(old_faults) if place not in faults]
    left = {name_of(entry) for entry in (*changed["workload"], *changed["faults"])}
    gone: dict[str, Any] = {}
    for place in faults:
        gone[name_of(old_faults[place])] = old_faults[place].get("after")
    for place in steps:
        gone[name_of(old_steps[place])] = None
    _repair(changed, {name: moment for name, moment in gone.items() if name not in left})
    if not changed["faults"]:
        del changed["faults"]
    return changed


def _repair(changed: dict[str, Any], gone: Mapping[str, Any]) -> None:
    for entry in (*changed["workload"], *changed["faults"]):
        for key in _MOMENTS:
            _set(entry, key, _repaired(entry.get(key), gone))
    for rank in (changed.get("world", {}).get("ranks") or {}).values():
        _set(rank, "start", _repaired(rank.get("start"), gone))
    changed["expect"] = [claim for one in entries(changed, "expect") if (claim := _claim(one, gone))]
    if not changed["expect"]:
        changed["expect"] = [neutral_claim(changed)]


def neutral_claim(document: Document) -> dict[str, Any]:
    """A claim that asks as little as a file can, since it must have one: the first step ends in any way."""
    steps = entries(document, "workload")
    return {"id": NEUTRAL, "step": name_of(steps[0]) if steps else "exit", "is": ["ok", "failed", "died", "skipped"]}


def _set(entry: dict[str, Any], key: str, value: Any) -> None:
    if value is None:
        entry.pop(key, None)
    else:
        entry[key] = value


def _repaired(moment: Any, gone: Mapping[str, Any]) -> Any:
    """The moment without what is gone; None if nothing is left of it."""
    parts: list[Any] = []
    for part in simple_moments(moment):
        name = part if isinstance(part, str) else part.get("step") or part.get("fault")
        if name not in gone:
            parts.append(part)
        elif gone[name] is not None:
            parts += simple_moments(_repaired(gone[name], {**gone, name: None}))
    return None if not parts else parts if len(parts) > 1 else parts[0]


def _claim(claim: dict[str, Any], gone: Mapping[str, Any]) -> dict[str, Any] | None:
    """The claim about what is left; None if that is nothing."""
    if "any" in claim:
        inner = [one for one in (_claim(part, gone) for part in claim["any"]) if one]
        return {**claim, "any": inner} if inner else None
    if claim.get("since") is not None and _repaired(claim["since"], gone) != claim["since"]:
        return None
    steps = claim.get("step")
    if steps is None:
        return claim
    left = [step for step in ([steps] if isinstance(steps, str) else steps) if step not in gone]
    return {**claim, "step": left[0] if len(left) == 1 else left} if left else None


# -- with fewer ranks ---------------------------------------------------------------------------------------------


def with_ranks(document: Document, kept: Sequence[int]) -> dict[str, Any]:
    """The document in a world of these ranks only, numbered from 0 in their order.

    Steps and faults of none of them go. Raises Lost if a moment waits for the calls or messages of none of them.
    """
    size = int(document["world"]["size"])
    numbers = {old: new for new, old in enumerate(kept)}

    def choice(value: Any) -> Any:
        return _choice(value, size, numbers)

    steps = [place for place, step in enumerate(entries(document, "workload")) if choice(step.get("ranks")) == []]
    faults = [place for place, fault in enumerate(entries(document, "faults")) if _hits_none(fault, choice)]
    changed = without(document, steps, faults)
    world = changed["world"]
    world["size"] = len(kept)
    if world.get("world_size") == size:
        world["world_size"] = len(kept)
    ranks = {
        numbers[int(rank)]: about for rank, about in (world.pop("ranks", None) or {}).items() if int(rank) in numbers
    }
    if ranks:
        world["ranks"] = ranks
    for about in ranks.values():
        if about.get("as_rank") in numbers:
            about["as_rank"] = numbers[about["as_rank"]]
    for entry in (*entries(changed, "workload"), *entries(changed, "faults"), *ranks.values()):
        _renumber(entry, choice)
    changed["expect"] = [_renumbered_claim(claim, choice) for claim in changed["expect"]]
    return changed


def _hits_none(fault: Mapping[str, Any], choice: Callable[[Any], Any]) -> bool:
    return choice(fault.get("ranks")) == [] or ("pairs" in fault and not _pairs(fault["pairs"], choice))


def _pairs(pairs: Any, choice: Callable[[Any], Any]) -> list[Any]:
    chosen = ([choice(side) for side in pair] for pair in pairs)
    return [pair for pair in chosen if [] not in pair]


def _renumber(entry: dict[str, Any], choice: Callable[[Any], Any]) -> None:
    if entry.get("ranks") is not None:
        entry["ranks"] = choice(entry["ranks"])
    if "pairs" in entry:
        entry["pairs"] = _pairs(entry["pairs"], choice)
    for key in (*_MOMENTS, "start", "since"):
        moments = [_renumbered(part, choice) for part in simple_moments(entry.get(key))]
        if moments:
            entry[key] = moments if isinstance(entry[key], list) else moments[0]


def _renumbered(moment: Any, choice: Callable[[Any], Any]) -> Any:
    if not isinstance(moment, Mapping):
        return moment
    if "wire" in moment:
        return {**moment, "wire": _renumbered(moment["wire"], choice)} if "ranks" in moment["wire"] else moment
    if moment.get("ranks") is None:
        return moment
    ranks = choice(moment["ranks"])
    if ranks == []:
        raise Lost("a moment waits for ranks that are gone")
    return {**moment, "ranks": ranks}


def _renumbered_claim(claim: dict[str, Any], choice: Callable[[Any], Any]) -> dict[str, Any]:
    if "any" in claim:
        return {**claim, "any": [_renumbered_claim(part, choice) for part in claim["any"]]}
    _renumber(claim, choice)
    if claim.get("ranks") == []:
        raise Lost("a claim is about ranks that are gone")
    return claim


def _choice(value: Any, size: int, numbers: Mapping[int, int]) -> Any:
    """A choice of ranks in new numbers: as it is if it names no numbers, else one number or a list, perhaps empty."""
    if value is None or value in (ALL, WORKERS):
        return [] if value == WORKERS and len(numbers) == 1 else value
    left = [numbers[rank] for rank in ranks_in(value, size) if rank in numbers]
    return left[0] if len(left) == 1 else left


def ranks_in(choice: Any, size: int) -> list[int]:
    """The ranks that a choice names in a world of that size."""
    if isinstance(choice, int):
        return [choice]
    if isinstance(choice, list | tuple):
        return [int(rank) for rank in choice]
    span = re.fullmatch(r"(\d+) *- *(\d+)", str(choice))
    if span:
        return list(range(int(span[1]), int(span[2]) + 1))
    return list(range(1 if choice == WORKERS else 0, size))


# -- what a document needs of its claims --------------------------------------------------------------------------


def essential(document: Document, check: str) -> dict[str, Any]:
    """The document with those claims alone that can tell of a check: what a play does depends on no claim.

    Each gets its name as an id, so that it keeps it when others go. A standing invariant needs no claim.
    """
    changed: dict[str, Any] = copy.deepcopy(dict(document))
    seen: Counter[str] = Counter()
    kept = []
    for claim in entries(changed, "expect"):
        name = name_of(claim)
        seen[name] += 1
        name = name if seen[name] == 1 else f"{name}.{seen[name]}"
        if tells(claim, name, check):
            kept.append(claim if "check" in claim else {"id": name, **claim})
    if not kept:  # the check is one of those that a claim merges, or a standing one
        kept = [claim for claim in entries(changed, "expect") if claim.get("check") == "invariants"]
    changed["expect"] = kept or [neutral_claim(changed)]
    changed.pop("known", None)
    return changed


def tells(claim: Mapping[str, Any], name: str, check: str) -> bool:
    """Whether a claim can be what a violation with this check names."""
    return check in (name, claim.get("id"), claim.get("check"))


def scalars(value: Any) -> Iterator[Any]:
    """Every single value in a document."""
    if isinstance(value, Mapping):
        for one in value.values():
            yield from scalars(one)
    elif isinstance(value, list | tuple):
        for one in value:
            yield from scalars(one)
    else:
        yield value
