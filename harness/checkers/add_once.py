"""Each add counts at most once, and one that was answered counts."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from harness.checkers.base import CHECKERS, Checker, Finding
from harness.history.disturbances import Disturbances
from harness.history.joins import configured_run_id, recorded_round
from harness.history.keys import deletes_of, keys_of, possible_counts, writes_of
from harness.history.wording import counted, describe_call
from harness.scenario.scenario import Scenario
from harness.values.attribute import Declaration
from harness.values.history import Call, History
from harness.values.json import whole
from harness.values.verdict import Verdict

_LARGEST = 2**63 - 1
_Counter = tuple[str, int, str]
"""Run id, round (0 where the subject reports none), key."""


@dataclass(frozen=True)
class _Seen:
    """A value that a call saw in a counter."""

    call: Call
    value: int


@CHECKERS.register("add_once")
class AddOnce(Checker):
    """Cheaper than `linearizable`, and it also judges what that calls unknown."""

    declaration = Declaration(
        kind="add_once",
        summary="each `add` counts once if it was answered, else at most once",
        example="{check: add_once}",
        details=(
            "Judged are keys that only `add` writes, by each value that an `add`, `get` or `multi_get` returned. It is"
            " at most the sum of all adds that had begun by the call's end, and at least that of those that were ok by"
            " its begin. An add that failed, hung or died may have been done once, or never, also if tried again."
            " (Negative amounts move the two sums the other way.) The lower bound is not judged if a master ended,"
            " dropped its handler or shut it down: its server may be a new one. Not judged are sums that may pass 63"
            " bits (F46)."
        ),
    )
    explored = True
    safety = True

    def check(self, scenario: Scenario, history: History, parameters: Mapping[str, Any]) -> Verdict:
        disturbances = Disturbances(scenario, history)
        adds, seen = _counters(scenario, history)
        judged = [(seen_one, adds[counter]) for counter in adds for seen_one in seen.get(counter, ())]
        if not judged:
            return self.nothing("no call returned the value of a counter that only adds write")
        findings = [finding for one, added in judged for finding in _miscounted(disturbances, one, added)]
        return self.verdict(
            findings, f"{counted(len(judged), 'value')} of {counted(len(adds), 'counter')} fit the adds"
        )


def _counters(
    scenario: Scenario, history: History
) -> tuple[Mapping[_Counter, Sequence[Call]], Mapping[_Counter, Sequence[_Seen]]]:
    """The adds of each counter that nothing else writes, and the values that were seen in it."""
    adds: dict[_Counter, list[Call]] = defaultdict(list)
    seen: dict[_Counter, list[_Seen]] = defaultdict(list)
    others: set[_Counter] = set()
    for call in history.calls:
        run_id, round_ = configured_run_id(scenario, call), recorded_round(call) or 0
        if call.f == "add" and call.invoke is not None:
            for key in keys_of(call):
                adds[run_id, round_, key].append(call)
        else:
            written = (*(write.key for write in writes_of(call)), *deletes_of(call))
            others.update((run_id, round_, key) for key in written)
        for key, value in _values_of(call):
            seen[run_id, round_, key].append(_Seen(call, value))
    return {counter: calls for counter, calls in adds.items() if counter not in others and _fits(calls)}, seen


def _fits(adds: Sequence[Call]) -> bool:
    return sum(abs(_amount(call)) for call in adds) <= _LARGEST


def _amount(call: Call) -> int:
    return whole(call.arguments.get("amount", 1)) or 0


def _values_of(call: Call) -> Iterator[tuple[str, int]]:
    """The keys and numbers that a call returned."""
    if call.outcome != "ok" or call.f not in ("add", "get", "multi_get"):
        return
    values = call.returned if call.f == "multi_get" else [call.returned]
    for key, value in zip(keys_of(call), values if isinstance(values, list | tuple) else (), strict=False):
        number = int(value) if isinstance(value, str) and value.lstrip("-").isdecimal() else whole(value)
        if number is not None:
            yield key, number


def _miscounted(disturbances: Disturbances, seen: _Seen, adds: Sequence[Call]) -> Iterator[Finding]:
    begun_ns, ended_ns = seen.call.begun_ns or 0, seen.call.ended_ns or 0
    by_then = [add for add in adds if (add.begun_ns or 0) <= ended_ns]
    least, most = possible_counts((_amount(add), _is_certain(add, seen.call, begun_ns)) for add in by_then)
    masters = disturbances.masters
    one_server = not (disturbances.gone(masters, ended_ns) or disturbances.released(masters, ended_ns))
    if seen.value > most or (one_server and seen.value < least):
        certain = sum(_is_certain(add, seen.call, begun_ns) for add in by_then)
        perhaps = len(by_then) - certain
        because = (
            f"{describe_call(seen.call)} returned {seen.call.returned!r}, while {counted(certain, 'add')} had been done"
            f" and {perhaps} more may have been: {least} to {most}"
        )
        yield Finding(because, f"{seen.value} in place of {least} to {most}", seen.call.evidence)


def _is_certain(add: Call, by: Call, begun_ns: int) -> bool:
    """Whether an add was done before a call returned: the call itself, or one that was answered before it began."""
    return add is by or (add.outcome == "ok" and (add.ended_ns or 0) <= begun_ns)
