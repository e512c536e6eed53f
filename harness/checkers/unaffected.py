"""Others go on: a call that the server answers at once is ok in time if nothing stood in its way."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from harness.checkers.base import CHECKERS, Checker, Finding, late, unless_stalled
from harness.history.disturbances import Disturbances
from harness.history.joins import joins
from harness.history.keys import ANSWERED_AT_ONCE, keys_of, writes_of
from harness.history.undisturbed import ANSWERED_WITHIN_NS, is_undisturbed
from harness.history.wording import counted, describe_call, describe_end, with_stacks
from harness.scenario.scenario import Scenario
from harness.values.attribute import Declaration
from harness.values.history import Call, History
from harness.values.json import whole
from harness.values.quantity import format_ns
from harness.values.verdict import Verdict

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
            f" {format_ns(ANSWERED_WITHIN_NS)}. It is judged if, from the begin of its handler's join on, no fault was"
            " in place on its rank's link or process, on a master's, on the port or on a host; and if no master had"
            " ended, and neither it nor its own rank had dropped a handler of its run or shut one down. Not judged are"
            f" calls of torchrun's agents, values of more than {MOST_CHARACTERS} characters, and with `static-strict`"
            " calls after an `add` to a key that holds text, for which torch's server ends the connection (F45)."
        ),
    )
    explored = True

    def check(self, scenario: Scenario, history: History, parameters: Mapping[str, Any]) -> Verdict:
        judged = [] if scenario.world.torchrun is not None else list(_judged(scenario, history))
        if not judged:
            return self.nothing("no call that is answered at once was undisturbed")
        findings = [finding for call in judged for finding in _affected(history, call)]
        return self.verdict(
            findings, f"{counted(len(judged), 'undisturbed call')} ok within {format_ns(ANSWERED_WITHIN_NS)}"
        )


def _judged(scenario: Scenario, history: History) -> Iterator[Call]:
    disturbances = Disturbances(scenario, history)
    everybody = joins(history)
    texts = _texts(history) if disturbances.is_strict else frozenset()
    for call in history.calls:
        if call.f not in ANSWERED_AT_ONCE or call.outcome not in ("ok", "failed", "hung") or _is_long(call):
            continue
        if is_undisturbed(disturbances, call, everybody) and not _after_add_to_text(history, call, texts):
            yield call


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
    elif (call.elapsed_ns or 0) > ANSWERED_WITHIN_NS:
        missed_ns = (call.elapsed_ns or 0) - ANSWERED_WITHIN_NS
        because += f", allowed {format_ns(ANSWERED_WITHIN_NS)}"
        yield late(history, call, window, missed_ns, because, happened=happened, evidence=call.evidence)
