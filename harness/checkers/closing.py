"""What was closed or shut down stays so, for those who can know it; what was not is open."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from harness.checkers.base import CHECKERS, Checker, Finding
from harness.history.disturbances import Disturbances
from harness.history.joins import configured_run_id, handler_of, joins
from harness.history.wording import counted, describe_call, outcome_phrase
from harness.scenario.scenario import Scenario
from harness.values.attribute import Declaration
from harness.values.history import Call, History
from harness.values.verdict import Verdict

_CLOSED = "RendezvousClosedError"
_CLOSING = ("set_closed", "shutdown")
_JUDGED = ("rendezvous", "is_closed")


@CHECKERS.register("closing")
class Closing(Checker):
    """A handler knows what it did itself; of what others closed only undisturbed ranks are judged."""

    declaration = Declaration(
        kind="closing",
        summary="a handler or run that was closed cannot be joined and says that it is closed, and no other says so",
        example="{check: closing}",
        details=(
            "After `set_closed` or `shutdown` of a handler has returned, its joins raise RendezvousClosedError, and its"
            " `is_closed` is true. `shutdown` returns true. The same is true of the others' handlers of a run after a"
            " rank that had joined it closed it (`set_closed`), if since it joined no fault was on either rank, a"
            " master, the port or a host, no master had ended, none of them had let a handler go, and no master joined"
            " the run anew; `is_closed` only of a handler that had joined. No `is_closed` is true before a `set_closed`"
            " or `shutdown` of its run has begun. A handler that was dropped is another one afterwards."
        ),
    )
    explored = True

    def check(self, scenario: Scenario, history: History, parameters: Mapping[str, Any]) -> Verdict:
        asked = [call for call in history.calls if call.f in _JUDGED and call.invoke is not None]
        ends = [call for call in history.calls if call.f in _CLOSING and call.outcome == "ok"]
        if not ends and not any(call.f == "is_closed" for call in asked):
            return self.nothing("nothing was closed, and nobody asked")
        findings = [_finding(call, f"{describe_call(call)} returned false") for call in ends if call.returned is False]
        disturbances = Disturbances(scenario, history)
        for call in asked:
            findings += _of(disturbances, call, [end for end in ends if _comes_before(end, call)])
        return self.verdict(findings, f"{counted(len(ends), 'end')} of handlers and runs, and all knew")


def _comes_before(earlier: Call, later: Call) -> bool:
    return (earlier.ended_ns or 0) <= (later.begun_ns or 0)


def _of(disturbances: Disturbances, call: Call, ends: list[Call]) -> Iterator[Finding]:
    own = [end for end in ends if _is_same(disturbances.history, end, call)]
    others = [end for end in ends if _was_told(disturbances, end, call)]
    if own or others:
        yield from _open(call, (own or others)[-1])
    elif call.f == "is_closed" and call.returned is True and not _may_be_closed(disturbances, call):
        yield _finding(call, f"{describe_call(call)} returned true, and nobody had closed the run")


def _is_same(history: History, end: Call, call: Call) -> bool:
    """Whether it is of the same handler, which was not dropped in between."""
    handler = call.rank, call.life, handler_of(call)
    dropped = any(
        other.f == "drop"
        and (other.rank, other.life, handler_of(other)) == handler
        and (end.begun_ns or 0) <= (other.begun_ns or 0) <= (call.begun_ns or 0)
        for other in history.calls
    )
    return (end.rank, end.life, handler_of(end)) == handler and not dropped


def _was_told(disturbances: Disturbances, end: Call, call: Call) -> bool:
    """Whether a run that another handler closed must be closed for this one."""
    run_id = configured_run_id(disturbances.scenario, call)
    if end.f != "set_closed" or configured_run_id(disturbances.scenario, end) != run_id:
        return False
    begun_ns, ended_ns = end.begun_ns or 0, call.ended_ns or 0
    masters = disturbances.masters
    opened_anew = any(
        join.is_master and join.run_id == run_id and join.begun_ns >= begun_ns for join in joins(disturbances.history)
    )
    return (
        _had_joined(disturbances.history, end)
        and (call.f == "rendezvous" or _had_joined(disturbances.history, call))
        and not opened_anew
        and not disturbances.hit({end.rank, call.rank, *masters}, (_joined_ns(disturbances.history, end), ended_ns))
        and not disturbances.gone(masters, ended_ns)
        and not disturbances.released({end.rank, call.rank, *masters}, ended_ns)
    )


def _joined_ns(history: History, call: Call) -> int:
    return min((join.begun_ns for join in joins(history) if join.call.rank == call.rank), default=0)


def _had_joined(history: History, call: Call) -> bool:
    return any(
        join.returned
        and (join.call.rank, join.call.life, join.handler) == (call.rank, call.life, handler_of(call))
        and _comes_before(join.call, call)
        for join in joins(history)
    )


def _may_be_closed(disturbances: Disturbances, call: Call) -> bool:
    run_id = configured_run_id(disturbances.scenario, call)
    return any(
        other.f in _CLOSING
        and other.begun_ns is not None
        and other.begun_ns <= (call.ended_ns or 0)
        and configured_run_id(disturbances.scenario, other) == run_id
        for other in disturbances.history.calls
    )


def _open(call: Call, end: Call) -> Iterator[Finding]:
    """What is wrong about a call after what it asks for was closed."""
    if call.f == "is_closed":
        if call.outcome == "ok" and call.returned is not True:
            yield _finding(call, f"{describe_call(call)} returned false after {describe_call(end)} had returned")
    elif call.outcome == "ok" or (call.outcome == "failed" and not _says_closed(call)):
        yield _finding(call, f"{describe_call(call)} {outcome_phrase(call)} after {describe_call(end)} had returned")


def _says_closed(call: Call) -> bool:
    return call.error is not None and _CLOSED in (call.error.kind, *call.error.bases)


def _finding(call: Call, because: str) -> Finding:
    return Finding(because, evidence=call.evidence)
