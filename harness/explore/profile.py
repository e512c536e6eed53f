"""What one run of a workload without faults shows: the moments at which a fault can begin, and how long it lasts."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from harness.engine.wire.grammar import GRAMMARS
from harness.explore.draft import Anchor, Profile
from harness.history.keys import keys_of
from harness.scenario.scenario import EXIT, Scenario
from harness.values.history import Call, History
from harness.values.json import mapping
from harness.values.wire import WireMessage

MASTER, WORKER = "master", "worker"

MOST_ANCHORS = 400
"""Of one profile. Beyond them the middle ones go first, then the second ones, then the last ones."""

_PATTERN = frozenset("*?[")
_LONGEST_KEY = 200
_FIRST, _LAST, _SECOND, _MIDDLE = range(4)


@dataclass(frozen=True)
class _Seen:
    """An anchor with its time, and how much it is wanted: the lower the more."""

    time_ns: int
    place: int
    anchor: Anchor


def role_of(scenario: Scenario, rank: int) -> str:
    """`master` for a rank process that is given rank 0 by any of its handlers, else `worker`."""
    ranks = scenario.world.ranks
    if rank >= len(ranks):
        return MASTER if rank == 0 else WORKER
    given = [config.rank for config in ranks[rank].handlers.values()] or [rank]
    return MASTER if 0 in given else WORKER


def profile(scenario: Scenario, history: History) -> Profile:
    """The anchors, the sound steps and the length of a workload, from one run of it without faults.

    Of each kind of moment and rank the first, the second, the middle and the last are anchors, of all together at most
    `MOST_ANCHORS`. A message that names a key of the workload is counted among those with this key; others by their
    kind alone, since their keys are the subject's own and may be new in each run.
    """
    found = sorted(
        [*_messages(scenario, history), *_steps(scenario, history)], key=lambda one: (one.place, one.time_ns)
    )
    kept = sorted(found[:MOST_ANCHORS], key=lambda one: one.time_ns)
    return Profile(
        anchors=tuple(one.anchor for one in kept),
        ok_steps=tuple(step.name for step in scenario.steps if _is_ok(history.calls_of(step.name))),
        lasted_ns=max((call.ended_ns - history.start_ns for call in _played(history) if call.ended_ns), default=0),
    )


def _is_ok(calls: Sequence[Call]) -> bool:
    return bool(calls) and all(call.outcome == "ok" for call in calls)


def _played(history: History) -> Iterator[Call]:
    """The calls of the workload that began: not the unwritten end of each rank."""
    return (call for call in history.calls if call.step != EXIT and call.begun_ns is not None)


def _places(count: int) -> dict[int, int]:
    """Which of so many moments are anchors, by index, and how much each is wanted."""
    if not count:
        return {}
    return {count // 2: _MIDDLE, min(1, count - 1): _SECOND, count - 1: _LAST, 0: _FIRST}


# -- messages ----------------------------------------------------------------------------------------------------------


def _messages(scenario: Scenario, history: History) -> Iterator[_Seen]:
    """Messages that passed, in the kinds that a moment can name."""
    groups: dict[tuple[int, str, str], list[WireMessage]] = defaultdict(list)
    for message in history.wire.messages if history.wire is not None else ():
        if message.kind in GRAMMARS and message.rank < scenario.world.size:
            groups[message.rank, message.side, message.kind].append(message)
    keys = frozenset(key for call in _played(history) for key in _keys(call))
    for (rank, side, kind), messages in groups.items():
        role = role_of(scenario, rank)
        for index, place in _places(len(messages)).items():
            message = messages[index]
            key, count = _counted(messages, index, keys)
            named = {"key": f"*/{key}"} if key else {}
            moment = {"wire": {side: kind, "ranks": rank, **named}, "count": count}
            yield _Seen(message.time_ns, place, Anchor(moment, f"{side} {kind}", rank, role, count))


def _keys(call: Call) -> tuple[str, ...]:
    """The keys of a call that a pattern can name as they are."""
    keys = (*keys_of(call), *map(str, mapping(call.arguments.get("values"))))
    return tuple(key for key in keys if 0 < len(key) <= _LONGEST_KEY and _PATTERN.isdisjoint(key))


def _counted(messages: Sequence[WireMessage], index: int, keys: frozenset[str]) -> tuple[str, int]:
    """The key of the workload that a message names, and its number among those that name it.

    The key is empty, and the number is that among all of its kind, if it names none. Torch's prefixes end with a slash.
    """
    of_message = (part for one in messages[index].keys for part in _endings(one))
    key = next((ending for ending in of_message if ending in keys), "")
    if not key:
        return "", index + 1
    return key, sum(any(one.endswith(f"/{key}") for one in message.keys) for message in messages[: index + 1])


def _endings(key: str) -> Iterator[str]:
    """What may be a key without the prefixes before it, the longest first."""
    while "/" in key:
        _, _, key = key.partition("/")
        yield key


# -- steps -------------------------------------------------------------------------------------------------------------


def _steps(scenario: Scenario, history: History) -> Iterator[_Seen]:
    """Calls that began and ended, each in the life that a moment without `life` means."""
    groups: dict[tuple[int, str, str], list[tuple[int, str, int]]] = defaultdict(list)
    for step in scenario.steps:
        calls = [call for call in history.calls_of(step.name) if call.life == (step.life or 1)]
        for rank in step.ranks:
            own = [call for call in calls if call.rank == rank]
            begun = sorted(call.begun_ns for call in own if call.begun_ns is not None)
            ended = sorted(call.ended_ns for call in own if call.ended_ns is not None)
            groups[rank, step.do, "begun"] += [(time_ns, step.name, n) for n, time_ns in enumerate(begun, 1)]
            groups[rank, step.do, "ended"] += [(time_ns, step.name, n) for n, time_ns in enumerate(ended, 1)]
    for (rank, verb, state), times in groups.items():
        role = role_of(scenario, rank)
        ordered = sorted(times)
        for index, place in _places(len(ordered)).items():
            time_ns, name, count = ordered[index]
            moment: Mapping[str, Any] = {"step": name, "ranks": rank, "is": state, "count": count}
            yield _Seen(time_ns, place, Anchor(moment, f"step {verb} {state}", rank, role, count))
