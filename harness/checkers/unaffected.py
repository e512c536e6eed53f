"""Others go on: a call that the server answers at once is ok in time if nothing stood in its way."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from harness.checkers.base import CHECKERS, Checker, Finding, late, unless_stalled
from harness.history.disturbances import Disturbances
from harness.history.joins import Join, configured_run_id, handler_of, joins
from harness.history.keys import ANSWERED_AT_ONCE, keys_of, writes_of
from harness.history.wording import counted, describe_call, describe_end, with_stacks
from harness.scenario.scenario import Scenario
from harness.values.attribute import Declaration
from harness.values.history import Call, History
from harness.values.json import whole
from harness.values.quantity import format_ns
from harness.values.verdict import Verdict

WITHIN_NS = 1_000_000_000
"""A constant, so that a finding's file means the same on every machine.

In 1178 plays of workloads without faults, 7355 such calls, two busy processors and torch 2.15: with `static` half took
0.7 ms, 99 % 38 ms, and all at most 102 ms; with `static-strict` half took 7 ms, 99 % 75 ms, and all at most 156 ms. The
99th percentile and 1 s would be 1.04 and 1.07 s. A call that is sent again after a lost packet takes 200 ms.
"""
MOST_CHARACTERS = 1_000_000
"""Longer values take their time, and torch refuses one of 8 MiB."""


@CHECKERS.register("unaffected")
class Unaffected(Checker):
    """Judged are the calls of ranks that no fault touched, while no fault touched the master either."""

    declaration = Declaration(
        kind="unaffected",
        summary="a store call that is answered at once is ok in time where no fault touched its rank or the master",
        example="{check: unaffected}",
        details=(
            f"These are {', '.join(ANSWERED_AT_ONCE)}: the server waits for nobody. Each is ok within"
            f" {format_ns(WITHIN_NS)}. It is judged if, from the begin of its handler's join on, no fault was in place"
            " on its rank's link or process, on a master's, on the port or on a host; and if no master had ended, and"
            " neither it nor its own rank had dropped a handler of its run or shut one down. Not judged are calls of"
            f" torchrun's agents, values of more than {MOST_CHARACTERS} characters, and with `static-strict` calls"
            " after an `add` to a key that holds text, for which torch's server ends the connection (F45)."
        ),
    )
    explored = True

    def check(self, scenario: Scenario, history: History, parameters: Mapping[str, Any]) -> Verdict:
        judged = [] if scenario.world.torchrun is not None else list(_judged(scenario, history))
        if not judged:
            return self.nothing("no call that is answered at once was undisturbed")
        findings = [finding for call in judged for finding in _affected(history, call)]
        return self.verdict(findings, f"{counted(len(judged), 'undisturbed call')} ok within {format_ns(WITHIN_NS)}")


def _judged(scenario: Scenario, history: History) -> Iterator[Call]:
    disturbances = Disturbances(scenario, history)
    everybody = joins(history)
    texts = _texts(history) if disturbances.is_strict else frozenset()
    for call in history.calls:
        if call.f not in ANSWERED_AT_ONCE or call.outcome not in ("ok", "failed", "hung") or _is_long(call):
            continue
        join = _join_of(call, everybody)
        if join is None or _is_disturbed(disturbances, call, join) or _after_add_to_text(history, call, texts):
            continue
        yield call


def _join_of(call: Call, everybody: tuple[Join, ...]) -> Join | None:
    """The join that the call's store comes from; None if another one had begun by the call's end."""
    own = [
        join
        for join in everybody
        if (join.call.rank, join.call.life, join.handler) == (call.rank, call.life, handler_of(call))
        and join.begun_ns <= (call.ended_ns or 0)
    ]
    last = own[-1] if own else None
    return last if last is not None and last.returned and last.ended_ns <= (call.begun_ns or 0) else None


def _is_disturbed(disturbances: Disturbances, call: Call, join: Join) -> bool:
    masters, ended_ns = disturbances.masters, call.ended_ns or 0
    run_id = configured_run_id(disturbances.scenario, call)
    return (
        disturbances.hit({call.rank, *masters}, (join.begun_ns, ended_ns))
        or disturbances.gone(masters, ended_ns)
        or disturbances.released({call.rank, *masters}, ended_ns, run_id=run_id)
    )


def _is_long(call: Call) -> bool:
    given = call.arguments
    return len(str(dict(given))) * (whole(given.get("repeat", 1)) or 1) > MOST_CHARACTERS


def _texts(history: History) -> frozenset[str]:
    """The keys that anything but an `add` may have written."""
    return frozenset(write.key for call in history.calls for write in writes_of(call) if write.kind != "add")


def _after_add_to_text(history: History, call: Call, texts: frozenset[str]) -> bool:
    return any(
        earlier.f == "add"
        and (earlier.rank, earlier.life) == (call.rank, call.life)
        and (earlier.begun_ns or 0) <= (call.ended_ns or 0)
        and not texts.isdisjoint(keys_of(earlier))
        for earlier in history.calls
    )


def _affected(history: History, call: Call) -> Iterator[Finding]:
    happened, window = describe_end(call), history.window_of(call)
    because = f"{describe_call(call)} {happened}, though no fault touched its rank or the master"
    if call.outcome != "ok":
        because = with_stacks(history, call, because)
        yield unless_stalled(history, window, because, happened=happened, evidence=call.evidence)
    elif (call.elapsed_ns or 0) > WITHIN_NS:
        missed_ns = (call.elapsed_ns or 0) - WITHIN_NS
        because += f", allowed {format_ns(WITHIN_NS)}"
        yield late(history, call, window, missed_ns, because, happened=happened, evidence=call.evidence)
