"""Two checkers: one that claims name, and one that judges every run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from harness.checkers.base import CHECKERS, Checker, Finding
from harness.scenario.scenario import Scenario
from harness.values.attribute import Attribute, Declaration
from harness.values.history import History
from harness.values.verdict import Verdict


@CHECKERS.register("limit_healed")
class LimitHealed(Checker):
    """The limit is seen, and later it is not."""

    declaration = Declaration(
        kind="limit_healed",
        summary="the first `queue_limit` sees the limit, and the last does not",
        attributes=(Attribute("most", "int", "the limit"),),
        example="{check: limit_healed, most: 17}",
    )

    def check(self, scenario: Scenario, history: History, parameters: Mapping[str, Any]) -> Verdict:
        limits = [call.returned["limit"] for call in history.calls if call.f == "queue_limit" and call.outcome == "ok"]
        if len(limits) < 2:
            return self.nothing("fewer than two calls of `queue_limit` returned")
        is_healed = limits[0] == parameters["most"] != limits[-1]
        findings = [] if is_healed else [Finding(f"the limits were {limits}")]
        return self.verdict(findings, f"{limits[0]} became {limits[-1]}")


@CHECKERS.register("ends_follow_begins")
class EndsFollowBegins(Checker):
    """Judges every run, since it is standing."""

    declaration = Declaration(kind="ends_follow_begins", summary="no call ends before it begins")
    standing = True

    def check(self, scenario: Scenario, history: History, parameters: Mapping[str, Any]) -> Verdict:
        findings = [
            Finding(f"{call.step} of rank {call.rank} ended before it began")
            for call in history.calls
            if call.begun_ns is not None and call.ended_ns is not None and call.ended_ns < call.begun_ns
        ]
        return self.verdict(findings, "every call ended after it began")
