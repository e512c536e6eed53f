"""No process crashes: each ends by `exit`, by a fault, or by its guard (which `no_hang` judges)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from harness.checkers.base import CHECKERS, Checker, Finding
from harness.history.cause import log_end
from harness.history.wording import counted
from harness.scenario.scenario import EXIT, Scenario
from harness.values.attribute import Declaration
from harness.values.history import Call, History
from harness.values.json import mapping, whole
from harness.values.ops import WORKER, Op
from harness.values.verdict import Verdict

# What may end a process by a signal: its guard, a fault, and for a torchrun worker its agent.
_ENTITLED = ("guard", "fault", "agent")

_NAMES = {
    4: "SIGILL",
    6: "SIGABRT",
    7: "SIGBUS",
    8: "SIGFPE",
    9: "SIGKILL",
    11: "SIGSEGV",
    13: "SIGPIPE",
    15: "SIGTERM",
}
"""Of signals by their numbers on Linux; a checker knows no machine."""


@CHECKERS.register("no_crash")
class NoCrash(Checker):
    """A crash is a signal that nobody sent, or a status that nobody asked for."""

    declaration = Declaration(
        kind="no_crash",
        summary="every process ends by `exit`, by a fault, or by its guard",
        example="{check: no_crash}",
        details=(
            "A `command` and a torchrun agent may end with any status; a signal that no fault sent is a crash there "
            "too. The signal that ended a torchrun worker must come from its agent or from a fault."
        ),
    )
    standing = True
    safety = True

    def check(self, scenario: Scenario, history: History, parameters: Mapping[str, Any]) -> Verdict:
        ends = [call for call in history.calls_of(EXIT) if call.outcome != "skipped" and call.end is not None]
        workers = [op for op in history if op.f == WORKER and mapping(op.value).get("ended")]
        if not ends and not workers:
            return self.nothing("no process ended")
        crashed = [(call, because) for call in ends if (because := _crash(scenario, history, call))]
        findings = [
            Finding(f"{_who(call)} {because}{log_end(history, call)}", because, call.evidence)
            for call, because in crashed
        ]
        findings += [finding for op in workers if (finding := _worker_crash(op)) is not None]
        count = len(ends) + len(workers)
        return self.verdict(findings, f"{counted(count, 'process', 'processes')} ended as asked")


def _worker_crash(end: Op) -> Finding | None:
    """The crash of a torchrun worker; None if it ended by itself, or was ended by its agent or a fault."""
    facts = mapping(end.value)
    if "signal" not in facts or _is_entitled(facts):
        return None
    because = f"was ended by signal {facts['signal']}, and neither its agent nor a fault sent it"
    return Finding(f"the worker of {end.process} {because}", because, (end.index,))


def _signal(number: Any) -> str:
    """`SIGABRT (signal 6)`."""
    name = _NAMES.get(number) if isinstance(number, int) else None
    shown = "unknown" if number is None else number
    return f"{name} (signal {shown})" if name else f"signal {shown}"


def _crash(scenario: Scenario, history: History, end: Call) -> str:
    """Why the end of a process is a crash; empty if it is not."""
    facts = end.end_facts
    if end.outcome == "hung" or _is_entitled(facts):
        return ""
    if "signal" in facts or end.outcome == "died":
        return f"was ended by {_signal(facts.get('signal'))}{_in_call(history, end)}, which the harness did not send"
    if history.begin.get("subject") == "command" or scenario.world.torchrun is not None:
        return ""
    status = whole(facts.get("status"))
    if end.invoke is None:
        return f"ended with status {_shown(status)}{_in_call(history, end)}, and was not asked to end"
    asked = _asked_status(scenario, history, end)
    if status is None or status == asked:
        return ""
    return f"ended with status {status}, expected {asked}"


def _is_entitled(facts: Mapping[str, Any]) -> bool:
    """Whether what ended the process may do so; `by` is `guard`, `agent` or `fault` with its name."""
    return str(facts.get("by") or "").split(" ")[0] in _ENTITLED


def _shown(status: int | None) -> str:
    return "unknown" if status is None else str(status)


def _asked_status(scenario: Scenario, history: History, end: Call) -> int:
    """The code of the written `exit` that ended this life; 0 without one."""
    own = [call for call in history.calls if (call.rank, call.life, call.f) == (end.rank, end.life, "exit")]
    written = [call for call in own if call.step != EXIT and call.invoke is not None]
    if not written:
        return 0
    code = whole(written[-1].arguments.get("code"))
    return _written_code(scenario, written[-1].step) if code is None else code


def _written_code(scenario: Scenario, step: str) -> int:
    return next((whole(each.arguments.get("code")) or 0 for each in scenario.steps if each.name == step), 0)


def _in_call(history: History, end: Call) -> str:
    """Which call was running when the process ended."""
    for call in history.calls:
        if (call.rank, call.life, call.outcome) == (end.rank, end.life, "died") and call.step != EXIT:
            return f" in {call.step}"
    return ""


def _who(call: Call) -> str:
    return f"rank {call.rank}" + ("" if call.life == 1 else f" (life {call.life})")
