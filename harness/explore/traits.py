"""What a scenario has that decides which known causes a failure can have: faults, verbs, the shape of its world."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from harness.explore.documents import named_in, parts_of
from harness.linearizability.calls import NO_REPLY
from harness.values.json import mapping
from harness.values.quantity import parse_size

SHAPES = (
    "missing rank", "late rank", "killed rank comes back", "joins again", "second run", "second handler",
    "threads share a handler", "greeting in pieces", "another rank", "another world size", "slash in a run id",
    "no fault", "huge amount", "long key", "add to text", "a write is dropped", "torchrun",
    "late file limit",
)  # fmt: skip
"""`joins again`: a rank joins one run twice; `second run`, `second handler`: more than one run id or handler, without
those whose master waits for the workers' joins, as that of the coda does; `another ...`: a process is given another
rank or world size than that of its place; `huge amount`: a number that a sum of 64 bits may wrap around at; `long
key`: one that torch's server may refuse; `add to text`: a key is added to, and is given texts; `a
write is dropped`: a proxy swallows a query that has no reply, on a connection that goes on; `late
file limit`: descriptors are taken from a process that runs already."""

_RUN_ID = "train"
_HUGE = 1 << 62
_GREETING_BYTES = 5
_WITHOUT_REPLY = (*NO_REPLY, "*")
_TEXTS = ("set", "set_bytes", "append", "compare_set", "multi_set")
"""Verbs that give texts to keys."""
_LONG = 8000
"""Characters. Torch's server refuses keys of more than 8 KiB, and the subject puts its own before a key."""


def traits(document: Mapping[str, Any]) -> frozenset[str]:
    """`fault KIND` for each fault, `verb VERB` for each step, and those of `SHAPES` that hold; of any mapping.

    A cut is known by how it is made: `fault x_cut silence` keeps the connection open, and is none of the others.
    """
    steps, faults = _items(document, "workload"), _items(document, "faults")
    world = mapping(document.get("world"))
    found = {f"fault {_kind(fault)}" for fault in faults} | {f"verb {step.get('do')}" for step in steps}
    found.update(_of_world(world, [one for one in steps if one.get("do") == "rendezvous"]))
    found.update(_of_joins(world, steps))
    if "torchrun" in world:
        found.add("torchrun")
    if not faults:
        found.add("no fault")
    if any(_cuts_greetings(fault) for fault in faults):
        found.add("greeting in pieces")
    if any(_is_huge(step.get(key)) for step in steps for key in ("value", "amount")):
        found.add("huge amount")
    if any(one.get("inject") == "x_drop_query" and one.get("query") in _WITHOUT_REPLY for one in faults):
        found.add("a write is dropped")
    if any(one.get("inject") == "file_limit" and "after" in one for one in faults):
        found.add("late file limit")
    if _adds_to_text(steps):
        found.add("add to text")
    if any(len(str(step.get("key"))) > _LONG for step in steps):
        found.add("long key")
    if any(fault.get("inject") == "kill" and ("for" in fault or "until" in fault) for fault in faults):
        found.add("killed rank comes back")
    return frozenset(found)


def _items(document: Mapping[str, Any], key: str) -> list[Mapping[str, Any]]:
    items = document.get(key)
    return [mapping(item) for item in items] if isinstance(items, list | tuple) else []


def _kind(fault: Mapping[str, Any]) -> str:
    return f"{fault.get('inject')}{' silence' if fault.get('how') == 'silence' else ''}"


def _adds_to_text(steps: list[Mapping[str, Any]]) -> bool:
    """Whether a text may be at a key that is added to; a step `mix` does all that it names to all of its keys."""
    keys: dict[bool, set[str]] = {True: set(), False: set()}
    for step in steps:
        named = (*parts_of(step.get("key")), *parts_of(step.get("keys")), *mapping(step.get("values")))
        for verb in (step.get("do"), *mapping(step.get("weights"))):
            if verb == "add" or verb in _TEXTS:
                keys[verb == "add"].update(map(str, named))
    return not keys[True].isdisjoint(keys[False])


def _cuts_greetings(fault: Mapping[str, Any]) -> bool:
    if fault.get("inject") != "slicer" or fault.get("stream") == "downstream":
        return False
    try:
        smallest = parse_size(str(fault.get("average_size"))) - parse_size(str(fault.get("size_variation", "0B")))
    except ValueError:
        return False
    return smallest < _GREETING_BYTES


def _is_huge(value: Any) -> bool:
    """Whether it is a number, or the text of one, of the size of the largest."""
    digits = str(value).strip().lstrip("+-")
    return digits.isdecimal() and len(digits) <= 1000 and int(digits) >= _HUGE


def _of_world(world: Mapping[str, Any], joins: list[Mapping[str, Any]]) -> Iterator[str]:
    """What the configurations of ranks and handlers say."""
    ranks = [mapping(one) for one in mapping(world.get("ranks")).values()]
    starts = [one["start"] for one in ranks if "start" in one]
    if "never" in starts:
        yield "missing rank"
    if any(start not in ("never", "0s") for start in starts):
        yield "late rank"
    configured = [world, *ranks, *joins]
    if any("as_rank" in one or "rank" in one or "rank" in mapping(one.get("config")) for one in (*ranks, *joins)):
        yield "another rank"
    if len({one["world_size"] for one in configured if "world_size" in one} | {world.get("size")}) > 1:
        yield "another world size"
    last = _served_last(joins)
    run_ids = {str(one["run_id"]) for one in configured if "run_id" in one and _handler(one) not in last}
    if len(run_ids | ({str(world.get("run_id", _RUN_ID))})) > 1:
        yield "second run"
    if any("/" in str(one.get("run_id")) for one in configured):
        yield "slash in a run id"


def _of_joins(world: Mapping[str, Any], steps: list[Mapping[str, Any]]) -> Iterator[str]:
    """What the steps say of handlers, and of how often each rank joins one run."""
    size = world.get("size")
    calls: Counter[tuple[int, str]] = Counter()
    run_ids: dict[str, str] = {}
    for step in steps:
        handler = _handler(step)
        if step.get("do") == "rendezvous":
            run_id = run_ids.setdefault(handler, str(step.get("run_id", world.get("run_id", _RUN_ID))))
            times = step.get("times", 1)
            for rank in _ranks(step.get("ranks", "all"), size if isinstance(size, int) else 1):
                calls[rank, run_id] += times if isinstance(times, int) else 1
        elif step.get("do") == "cycle":
            yield "joins again"
    if any(count > 1 for count in calls.values()):
        yield "joins again"
    if len(run_ids.keys() - _served_last(steps)) > 1:
        yield "second handler"
    used = {(_handler(step), str(step.get("thread", "main"))) for step in steps}
    if len({handler for handler, _ in used}) < len(used):
        yield "threads share a handler"


def _served_last(steps: list[Mapping[str, Any]]) -> set[str]:
    """The handlers with which the master joins after the workers: nobody is missing then when it returns."""
    joins = [step for step in steps if step.get("do") == "rendezvous"]
    handlers = {str(step.get("id")): _handler(step) for step in joins}
    return {
        _handler(step)
        for step in joins
        if step.get("ranks") == 0 and any(handlers.get(name) == _handler(step) for name in named_in(step.get("after")))
    }


def _handler(step: Mapping[str, Any]) -> str:
    return str(step.get("handler", "main"))


def _ranks(named: Any, size: int) -> Iterator[int]:
    """The ranks of a step as the format writes them; none for what it does not allow."""
    size = min(size, 1000)
    if named in ("all", "workers"):
        yield from range(named == "workers", size)
    elif isinstance(named, list | tuple):
        for one in named:
            yield from _ranks(one, size)
    elif isinstance(named, int):
        yield named
    elif isinstance(named, str):
        first, _, last = named.partition("-")
        if first.isdigit() and (last or first).isdigit():
            yield from range(int(first), min(int(last or first), size) + 1)
