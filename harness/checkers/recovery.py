"""After a fault is healed, the ranks that it touched work again."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from harness.checkers.base import CHECKERS, Checker, Finding, late, unless_stalled
from harness.history.wording import counted, describe_call, describe_end, with_stacks
from harness.scenario.scenario import Scenario
from harness.values.attribute import Attribute, Declaration
from harness.values.history import Call, History, Injection
from harness.values.json import whole
from harness.values.quantity import format_ns
from harness.values.verdict import Verdict

# Ends of processes, sleeps, and binding and dropping handlers call nothing in the subject, so they show no recovery.
_NO_SUBJECT = frozenset(("exit", "sleep", "bind", "drop"))
_DEFAULT_WITHIN_NS = 2_000_000_000


@CHECKERS.register("recovery")
class Recovery(Checker):
    """Judged by the first call of each rank that begins after a healing."""

    declaration = Declaration(
        kind="recovery",
        summary="after each healing the next call of every rank that the fault touched is ok within the time allowed",
        attributes=(Attribute("within", "duration", "from its own begin", _DEFAULT_WITHIN_NS, "2s", minimum=0),),
        example="{check: recovery, within: 1s}",
        details=(
            "A fault that names no ranks (of the port, of the host) touches all. A rank that calls nothing after the"
            " healing is not judged; sleep, bind, drop and exit do not count as calls."
        ),
    )

    def check(self, scenario: Scenario, history: History, parameters: Mapping[str, Any]) -> Verdict:
        within_ns = whole(parameters.get("within"))
        within_ns = _DEFAULT_WITHIN_NS if within_ns is None else within_ns
        next_calls = [pair for healed in history.injections for pair in _next_calls(scenario, history, healed)]
        if not next_calls:
            return self.nothing("no rank that a fault touched called anything after the healing")
        findings = [finding for pair in next_calls for finding in _not_recovered(history, *pair, within_ns)]
        return self.verdict(findings, f"{counted(len(next_calls), 'next call')} ok within {format_ns(within_ns)}")


def _next_calls(scenario: Scenario, history: History, fault: Injection) -> Iterator[tuple[Injection, Call]]:
    if fault.healed_ns is None or fault.injected_ns is None or fault.touched is False:
        return
    waiting = set(fault.ranks or range(scenario.world.size))
    for call in history.calls:
        began_after = call.begun_ns is not None and call.begun_ns >= fault.healed_ns
        if began_after and call.rank in waiting and call.f not in _NO_SUBJECT:
            waiting.discard(call.rank)
            yield fault, call


def _not_recovered(history: History, fault: Injection, call: Call, within_ns: int) -> Iterator[Finding]:
    because = f"{describe_call(call)}, the next call after {fault.fault} was healed, {describe_end(call)}"
    evidence = (*fault.evidence[-1:], *call.evidence)
    if call.outcome != "ok":
        because = with_stacks(history, call, because)
        window = (fault.healed_ns or 0, history.window_of(call)[1])
        yield unless_stalled(history, window, because, happened=describe_end(call), evidence=evidence)
    elif call.begun_ns is not None and call.ended_ns is not None and (call.elapsed_ns or 0) > within_ns:
        missed_ns = (call.elapsed_ns or 0) - within_ns
        because = f"{because}, allowed {format_ns(within_ns)}"
        window = (call.begun_ns, call.ended_ns)
        yield late(history, call, window, missed_ns, because, happened=describe_end(call), evidence=evidence)
