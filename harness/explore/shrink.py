"""Smaller candidates of a document that fails: each is valid, and what it is about stays."""

from __future__ import annotations

import contextlib
import copy
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from harness.explore.coda import with_its_coda
from harness.explore.edits import (
    WORKERS,
    Document,
    Lost,
    entries,
    name_of,
    ranks_in,
    scalars,
    simple_moments,
    tells,
    with_ranks,
    without,
)
from harness.explore.measure import FIXED_OF_FAULTS, FIXED_OF_STEPS, FIXED_OF_WORLDS, SIMPLER_KINDS, measure, seconds
from harness.explore.observation import Signature
from harness.loader import load_text, written
from harness.values.errors import ScenarioError
from harness.values.quantity import NANOSECONDS, is_duration, parse_duration

Change = tuple[str, dict[str, Any]]
"""What was changed, in words that stay the same while other parts change, and the changed document."""

JOIN = "rendezvous"
GROUPS = ("coda-", "benign-")
"""How the ids of the steps begin that a draft has for its oracles: they go together."""

_WITH_STREAM = ("blackhole", "latency")
_LATENCY = "500ms"


def loads(document: Document) -> bool:
    """Whether the loader reads a document as one scenario; writing and reading it take some 25 ms."""
    try:
        return len(load_text(written(document), Path("candidate.rdzv.yaml"))) == 1
    except ScenarioError:
        return False


def candidates(document: Document, signature: Signature | None = None) -> Iterator[dict[str, Any]]:
    """Smaller documents, the largest steps first: faults, ranks, steps, moments, ends, kinds, timings, world.

    Each is read by the loader, none stands twice, and each has a smaller `measure`, so that taking one again and again
    ends.

    Args:
        signature: of the violation that the document is about: the claims that can tell of it stay.
    """
    return (changed for _, changed in changes(document, signature) if loads(changed))


def changes(document: Document, signature: Signature | None = None) -> Iterator[Change]:
    """Likewise, with what is changed in each, and before the loader has read it: it may refuse some."""
    seen: set[str] = set()
    before = measure(document)
    check = "" if signature is None else signature.check
    for what, found in _all(document, signature):
        changed = with_its_coda(found, check)
        text = repr(changed)
        if changed is not None and text not in seen and measure(changed) < before and _keeps(changed, signature):
            seen.add(text)
            yield what, changed


def _all(document: Document, signature: Signature | None) -> Iterator[Change]:
    yield from _leaps(document, signature)
    yield from _fewer_faults(document)
    yield from _fewer_ranks(document)
    yield from _fewer_steps(document)
    yield from _plainer_steps(document)
    yield from _fewer_claims(document)
    yield from _plainer_moments(document)
    yield from _without_ends(document)
    yield from _plainer_faults(document)
    yield from _rounder(document)
    yield from _plainer_world(document)


def _keeps(changed: Document, signature: Signature | None) -> bool:
    """Whether a claim that can tell of the signature is still there, or none is needed."""
    if signature is None:
        return True
    claims = entries(changed, "expect")
    if any(tells(claim, name_of(claim), signature.check) for claim in claims):
        return True
    return any(claim.get("check") == "invariants" for claim in claims) or signature.check in _needs_no_claim()


def _needs_no_claim() -> tuple[str, ...]:
    from harness.checkers.base import standing_invariants

    return standing_invariants()


# -- leaps --------------------------------------------------------------------------------------------------------


def _leaps(document: Document, signature: Signature | None) -> Iterator[Change]:
    """Many parts at once, since a play that fails often takes longer than all that do not.

    One fault alone, with the steps that it and the violated verb need, first in a world of its ranks; then without the
    steps of the oracles; then with the steps that all faults need.
    """
    if signature is not None and signature.verb:
        yield from _of_one_fault(document, signature)
    for group in GROUPS:
        places = [place for place, step in enumerate(entries(document, "workload")) if _is_of(step, group)]
        if places:
            yield f"no {group}", without(document, places)
    if signature is not None and signature.verb:
        unneeded = _unneeded(document, signature, range(len(entries(document, "faults"))))
        if len(unneeded) > 1:
            yield f"only {signature.verb}", without(document, unneeded)


def _of_one_fault(document: Document, signature: Signature) -> Iterator[Change]:
    """For each fault the document with it alone: with the first worker that it hits, with all of these, with all."""
    size, faults = int(document["world"]["size"]), entries(document, "faults")
    alone = []
    for place in range(len(faults)):
        left = without(document, _unneeded(document, signature, [place]), set(range(len(faults))) - {place})
        hit = [rank for rank in ranks_in(faults[place].get("ranks", WORKERS), size) if rank > 0]
        alone.append((name_of(faults[place]), left, hit or [1]))
    for most in (1, size):
        for name, left, hit in alone:
            kept = [0, *hit[:most]]
            if len(kept) < size:
                with contextlib.suppress(Lost):
                    yield f"only {name} in {len(kept)} ranks", with_ranks(left, kept)
    yield from ((f"only {name}", left) for name, left, _ in alone)


def _unneeded(document: Document, signature: Signature | None, faults: Iterable[int]) -> list[int]:
    """The steps that do not join, have another verb and other keys than the violated one, and that no fault names."""
    verb = "" if signature is None else signature.verb
    steps = entries(document, "workload")
    own = [step for step in steps if not _is_of_oracle(step)]
    steps_with = own if any(step.get("do") == verb for step in own) else steps
    violated = [step for step in steps_with if step.get("do") == verb]
    keys = {key for step in violated for key in _keys_of(step)}
    chosen = [entries(document, "faults")[place] for place in faults]
    named = {word for fault in chosen for word in scalars(fault) if isinstance(word, str)}

    def is_needed(step: Mapping[str, Any]) -> bool:
        return (
            step.get("do") in (JOIN, verb)
            or bool(keys.intersection(_keys_of(step)))
            or name_of(step) in named
            or step.get("do") in named
        )

    needed = [id(step) for step in steps_with if is_needed(step)]
    return [place for place, step in enumerate(steps) if id(step) not in needed]


def _keys_of(step: Mapping[str, Any]) -> list[str]:
    keys = step.get("keys")
    several = [keys] if isinstance(keys, str) else list(keys or ())
    return [*([step["key"]] if "key" in step else []), *several, *(step.get("values") or ())]


def _is_of(step: Mapping[str, Any], group: str) -> bool:
    return name_of(step).startswith(group)


def _is_of_oracle(step: Mapping[str, Any]) -> bool:
    """Whether a step is there for an oracle of the draft: see `GROUPS`."""
    return any(_is_of(step, group) for group in GROUPS)


# -- fewer of something -------------------------------------------------------------------------------------------


def _chunks(count: int, largest: int) -> Iterator[range]:
    """Places to remove together, ddmin's complements: large pieces first, the last ones of each size first."""
    size = largest
    while size >= 1:
        for end in range(count, 0, -size):
            yield range(max(0, end - size), end)
        size //= 2


def _fewer_faults(document: Document) -> Iterator[Change]:
    names = [name_of(fault) for fault in entries(document, "faults")]
    for places in _chunks(len(names), len(names)):
        yield f"no fault {', '.join(names[place] for place in places)}", without(document, faults=places)


def _fewer_ranks(document: Document) -> Iterator[Change]:
    """The last ranks first; any worker may go, since others are numbered again. Rank 0 stays."""
    size = int(document["world"]["size"])
    for places in _chunks(size - 1, size - 1):
        kept = [rank for rank in range(size) if rank - 1 not in places]
        try:
            yield f"fewer ranks, {len(kept)} without {places.start + 1}", with_ranks(document, kept)
        except Lost:
            continue


def _fewer_steps(document: Document) -> Iterator[Change]:
    steps = entries(document, "workload")
    for places in _chunks(len(steps), len(steps) // 2):
        names = ", ".join(_marked(steps, place) for place in places)
        yield f"no step {names}", without(document, steps=places)


def _marked(steps: Sequence[Mapping[str, Any]], place: int) -> str:
    """The name of a step and how many of that name stand behind it."""
    name = name_of(steps[place])
    later = sum(name_of(step) == name for step in steps[place + 1 :])
    return f"{name} ({later})" if later else name


def _fewer_claims(document: Document) -> Iterator[Change]:
    claims = entries(document, "expect")
    for place in reversed(range(len(claims))):
        if len(claims) > 1:
            left = [claim for other, claim in enumerate(claims) if other != place]
            yield f"no claim {name_of(claims[place])}", {**copy.deepcopy(dict(document)), "expect": left}


# -- plainer steps ------------------------------------------------------------------------------------------------


def _plainer_steps(document: Document) -> Iterator[Change]:
    size = int(document["world"]["size"])
    for place, step in enumerate(entries(document, "workload")):
        name = name_of(step)
        for count in ("times", "calls"):
            if int(step.get(count) or 1) > 1:
                yield f"{name}: one of its {count}", _entry(document, "workload", place, {count: 1})
                yield (
                    f"{name}: half of its {count}",
                    _entry(document, "workload", place, {count: math.ceil(int(step[count]) / 2)}),
                )
        yield from _of_one_rank(document, place, step, size)
        yield from _without_keys(document, "workload", place, step, FIXED_OF_STEPS)


def _of_one_rank(document: Document, place: int, step: Mapping[str, Any], size: int) -> Iterator[Change]:
    ranks = ranks_in(step.get("ranks", "all"), size)
    if len(ranks) > 1 and step.get("do") != JOIN:
        for rank in dict.fromkeys((ranks[-1], ranks[0])):
            yield f"{name_of(step)}: one rank", _entry(document, "workload", place, {"ranks": rank})


def _without_keys(
    document: Document, section: str, place: int, entry: Mapping[str, Any], fixed: Sequence[str]
) -> Iterator[Change]:
    for key in entry:
        if key not in fixed:
            yield f"{name_of(entry)}: no {key}", _entry(document, section, place, {key: None})


def _entry(document: Document, section: str, place: int, keys: Mapping[str, Any]) -> dict[str, Any]:
    """The document with these keys in one entry; None takes a key out."""
    changed: dict[str, Any] = copy.deepcopy(dict(document))
    entry = changed[section][place]
    for key, value in keys.items():
        if value is None:
            entry.pop(key, None)
        else:
            entry[key] = value
    return changed


# -- plainer moments ----------------------------------------------------------------------------------------------


def _plainer_moments(document: Document) -> Iterator[Change]:
    """Of faults first: no moment at all, one of several, the first of its kind, a step for a message, the start."""
    for section in ("faults", "workload"):
        for place, entry in enumerate(entries(document, section)):
            if entry.get("after") is not None:
                for what, moment in _plainer(document, entry["after"]):
                    yield f"{name_of(entry)}: {what}", _entry(document, section, place, {"after": moment})


def _plainer(document: Document, moment: Any) -> Iterator[tuple[str, Any]]:
    yield "at once", None
    parts = simple_moments(moment)
    if len(parts) > 1:
        for place, part in enumerate(parts):
            yield f"only moment {place}", part
        return
    part = parts[0]
    if not isinstance(part, Mapping):
        return
    for key in part:
        if key not in ("step", "fault", "wire"):
            yield f"no {key}", {other: value for other, value in part.items() if other != key}
    if "wire" in part:
        wire = part["wire"]
        for key in set(wire) - {"query", "reply"}:
            yield f"no {key}", {**part, "wire": {other: value for other, value in wire.items() if other != key}}
        for name in _steps_for(document, wire):
            yield f"in {name}", {"step": name, "is": "begun"}
    elif set(part) == {"step"}:
        yield "name only", part["step"]


def _steps_for(document: Document, wire: Mapping[str, Any]) -> Iterator[str]:
    """The steps that may have sent a message: of its verb, else the first join."""
    kind = wire.get("query") or wire.get("reply")
    steps = entries(document, "workload")
    names = [name_of(step) for step in steps if step.get("do") == kind]
    names += [name_of(step) for step in steps if step.get("do") == JOIN][:1]
    yield from dict.fromkeys(names)


def _without_ends(document: Document) -> Iterator[Change]:
    for place, fault in enumerate(entries(document, "faults")):
        for key in ("until", "for"):
            if key in fault:
                yield f"{name_of(fault)}: never healed", _entry(document, "faults", place, {key: None})


# -- plainer faults, rounder times, a plainer world ---------------------------------------------------------------


def _plainer_faults(document: Document) -> Iterator[Change]:
    for place, fault in enumerate(entries(document, "faults")):
        name = name_of(fault)
        if fault.get("stream") == "both":
            for stream in ("downstream", "upstream"):
                yield f"{name}: {stream}", _entry(document, "faults", place, {"stream": stream})
        yield from _without_keys(document, "faults", place, fault, FIXED_OF_FAULTS)
        for kind in SIMPLER_KINDS.get(str(fault.get("inject")), ()):
            for stream in ("downstream", "upstream") if kind in _WITH_STREAM else ("",):
                yield f"{name}: {kind} {stream}", _of_kind(document, place, fault, kind, stream)


def _of_kind(document: Document, place: int, fault: Mapping[str, Any], kind: str, stream: str) -> dict[str, Any]:
    changed: dict[str, Any] = copy.deepcopy(dict(document))
    kept = {key: value for key, value in fault.items() if key in ("ranks", "after", "until", "for")}
    extra = {**({"stream": stream} if stream else {}), **({"latency": _LATENCY} if kind == "latency" else {})}
    changed["faults"][place] = {"id": name_of(fault), "inject": kind, **copy.deepcopy(kept), **extra}
    return changed


def _rounder(document: Document) -> Iterator[Change]:
    """One duration after another rounded to one digit, up and down."""
    for section in ("faults", "workload"):
        for place, entry in enumerate(entries(document, section)):
            for key, value in entry.items():
                if key not in ("id", "do", "inject", "key", "value") and isinstance(value, str):
                    for rounded in _rounded(value):
                        yield f"{name_of(entry)}: round {key}", _entry(document, section, place, {key: rounded})
            plus = entry["after"].get("plus") if isinstance(entry.get("after"), Mapping) else None
            for rounded in _rounded(plus):
                moment = {**entry["after"], "plus": rounded}
                yield f"{name_of(entry)}: round plus", _entry(document, section, place, {"after": moment})


def _rounded(value: Any) -> list[str]:
    if not isinstance(value, str) or not is_duration(value) or parse_duration(value).timeouts:
        return []
    duration_ns = parse_duration(value).offset_ns
    if duration_ns < NANOSECONDS["us"]:
        return []
    unit = 10 ** (len(str(duration_ns)) - 1)
    return [_written(number * unit) for number in dict.fromkeys((10, -(-duration_ns // unit), duration_ns // unit, 1))]


def _written(duration_ns: int) -> str:
    unit = next(unit for unit in ("s", "ms", "us") if duration_ns % NANOSECONDS[unit] == 0)
    return f"{duration_ns // NANOSECONDS[unit]}{unit}"


def _plainer_world(document: Document) -> Iterator[Change]:
    world = document["world"]
    for rank, about in (world.get("ranks") or {}).items():
        yield f"rank {rank} as others", _world(document, ranks={**world["ranks"], rank: None})
        for key in about if len(about) > 1 else ():
            left = {other: value for other, value in about.items() if other != key}
            yield f"rank {rank}: no {key}", _world(document, ranks={**world["ranks"], rank: left})
    for key in world:
        if key not in FIXED_OF_WORLDS:
            yield f"world: no {key}", _world(document, **{key: None})
    if seconds(world.get("timeout")) > 1:
        yield "world: timeout of 1s", _world(document, timeout="1s")


def _world(document: Document, **keys: Any) -> dict[str, Any]:
    changed: dict[str, Any] = copy.deepcopy(dict(document))
    world = {**changed["world"], **keys}
    ranks = {rank: about for rank, about in (world.get("ranks") or {}).items() if about}
    changed["world"] = {key: value for key, value in {**world, "ranks": ranks}.items() if value not in (None, {})}
    return changed
