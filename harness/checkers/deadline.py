"""Every call that was told a timeout ends within it, and a slack."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from harness.checkers.base import CHECKERS, Checker, Finding, late
from harness.history.joins import handler_of
from harness.history.wording import counted, describe_call, outcome_phrase, with_stacks
from harness.scenario.scenario import Scenario
from harness.values.attribute import Attribute, Declaration
from harness.values.history import Call, History
from harness.values.json import whole
from harness.values.quantity import format_ns
from harness.values.verdict import Verdict

# A store is told its handler's timeout when it is made, and holds every one of these calls to it.
_STORE_CALLS = frozenset(
    ("set", "get", "add", "compare_set", "wait", "check", "delete_key", "num_keys", "append", "multi_get", "multi_set",
     "queue_push", "queue_pop")
)  # fmt: skip
_DEFAULT_SLACK_NS = 1_000_000_000


@CHECKERS.register("deadline")
class Deadline(Checker):
    """The caller's clock decides; the time for which a fault paused the caller itself does not count."""

    declaration = Declaration(
        kind="deadline",
        summary="every call that was told a timeout ends within it plus the slack",
        attributes=(Attribute("slack", "duration", "beyond the timeout", _DEFAULT_SLACK_NS, "1s", minimum=0),),
        example="{check: deadline, slack: 500ms}",
        details=(
            "A join is told its handler's timeout, a store call its store's (the handler's, unless `wait` is given one"
            " of its own). A call that died with its process is not judged; time for which its process was paused by a"
            " fault does not count."
        ),
    )

    def check(self, scenario: Scenario, history: History, parameters: Mapping[str, Any]) -> Verdict:
        slack_ns = whole(parameters.get("slack"))
        slack_ns = _DEFAULT_SLACK_NS if slack_ns is None else slack_ns
        told = [(call, timeout_ns) for call in history.calls if (timeout_ns := _timeout_ns(scenario, call)) is not None]
        timed = [(call, timeout_ns) for call, timeout_ns in told if call.outcome in ("ok", "failed", "hung")]
        if not timed:
            return self.nothing("no call that was told a timeout ended")
        findings = [finding for call, timeout_ns in timed for finding in _overrun(history, call, timeout_ns, slack_ns)]
        return self.verdict(findings, f"{counted(len(timed), 'call')} kept the timeout")


def _overrun(history: History, call: Call, timeout_ns: int, slack_ns: int) -> Iterator[Finding]:
    if call.begun_ns is None or call.ended_ns is None:
        return
    lasted_ns = call.ended_ns - call.begun_ns - _paused_ns(history, call.rank, call.begun_ns, call.ended_ns)
    missed_ns = lasted_ns - timeout_ns - slack_ns
    if missed_ns <= 0:
        return
    because = f"{describe_call(call)} {outcome_phrase(call)} after {format_ns(lasted_ns)}, told {format_ns(timeout_ns)}"
    yield late(
        history,
        (call.begun_ns, call.ended_ns),
        missed_ns,
        with_stacks(history, call, f"{because} (slack {format_ns(slack_ns)})"),
        happened=f"{outcome_phrase(call)} after {format_ns(lasted_ns)}",
        evidence=call.evidence,
    )


def _timeout_ns(scenario: Scenario, call: Call) -> int | None:
    """What the call was told, in nanoseconds; None if nothing."""
    if call.f == "rendezvous":
        return _handler_timeout_ns(scenario, call, whole(call.arguments.get("timeout_ns")))
    if call.f not in _STORE_CALLS:
        return None
    own = whole(call.arguments.get("timeout"))
    return own if own is not None else _handler_timeout_ns(scenario, call, None)


def _handler_timeout_ns(scenario: Scenario, call: Call, recorded_ns: int | None) -> int | None:
    ranks = scenario.world.ranks
    told = ranks[call.rank].handlers.get(handler_of(call)) if call.rank < len(ranks) else None
    if told is None:
        return recorded_ns
    raw = _seconds(told.config.get("timeout"))
    if raw is not None:
        return round(raw * 1e9)
    return told.timeout_ns if recorded_ns is None else recorded_ns


def _seconds(raw: object) -> float | None:
    """A timeout handed on raw in `config`, if it can be read as seconds."""
    try:
        return None if raw is None else float(str(raw))
    except ValueError:
        return None


def _paused_ns(history: History, rank: int, from_ns: int, to_ns: int) -> int:
    """For how long faults paused a rank between two moments."""
    total = 0
    for pause in history.injections:
        if pause.kind == "pause" and rank in pause.ranks and pause.injected_ns is not None:
            until_ns = to_ns if pause.healed_ns is None else pause.healed_ns
            total += max(0, min(to_ns, until_ns) - max(from_ns, pause.injected_ns))
    return total
