"""A join that raises does so with an exception class that callers can tell apart, and says by its cause what failed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from harness.checkers.base import CHECKERS, Checker, Finding
from harness.history.wording import counted, describe_call
from harness.scenario.scenario import Scenario
from harness.values.attribute import Declaration
from harness.values.history import Call, History
from harness.values.verdict import Verdict

CONTRACT = (
    "DistNetworkError", "RendezvousConnectionError",  # refused, reset, unresolvable
    "DistStoreError", "RendezvousTimeoutError",  # the deadline, missing ranks
    "RendezvousStateError",  # not a store, or it disagrees
    "RendezvousClosedError",
    "ValueError",  # the arguments
)  # fmt: skip

CAUSED = "RendezvousConnectionError"


@CHECKERS.register("error_contract")
class ErrorContract(Checker):
    """The classes in `CONTRACT`, or classes derived from them."""

    declaration = Declaration(
        kind="error_contract",
        summary="a join that raises does so with a class of the contract",
        example="{check: error_contract}",
        details=(
            "DistNetworkError or RendezvousConnectionError (refused, reset, unresolvable), DistStoreError or"
            " RendezvousTimeoutError (deadline, missing ranks), RendezvousStateError (not a store, or disagrees),"
            " RendezvousClosedError, or ValueError (arguments); or a class derived from one of these. A"
            " RendezvousConnectionError has a cause, which is what the system or torch reported: torch's own backends"
            " chain it too. A DistNetworkError is itself what torch reported."
        ),
    )
    explored = True

    def check(self, scenario: Scenario, history: History, parameters: Mapping[str, Any]) -> Verdict:
        raised = [call for call in history.rendezvous_calls if call.outcome == "failed"]
        if not raised:
            return self.nothing("no rendezvous raised")
        findings = [_finding(call) for call in raised if not _within_contract(call)]
        findings += [_without_cause(call) for call in raised if _lacks_cause(call)]
        return self.verdict(findings, f"{counted(len(raised), 'join')} raised within the contract")


def _within_contract(call: Call) -> bool:
    return call.error is not None and not {call.error.kind, *call.error.bases}.isdisjoint(CONTRACT)


def _lacks_cause(call: Call) -> bool:
    return call.error is not None and CAUSED in (call.error.kind, *call.error.bases) and not call.error.causes


def _without_cause(call: Call) -> Finding:
    kind = call.error.kind if call.error is not None else CAUSED
    return Finding(f"{describe_call(call)} raised {kind} without a cause", f"{kind} without a cause", call.evidence)


def _finding(call: Call) -> Finding:
    kind = call.error.kind if call.error is not None else "an unknown error"
    line = f": {call.error.first_line}" if call.error is not None and call.error.first_line else ""
    return Finding(f"{describe_call(call)} raised {kind}, which is not in the contract{line}", kind, call.evidence)
