"""A join that waits for its master does not try to connect all the time."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from harness.checkers.base import CHECKERS, Checker, Finding
from harness.history.joins import Join, joins
from harness.history.wording import counted, describe_call
from harness.scenario.scenario import Scenario
from harness.values.attribute import Declaration
from harness.values.history import History
from harness.values.json import mapping, whole
from harness.values.quantity import format_ns
from harness.values.verdict import Verdict

AT_FIRST, IN_A_SECOND = 30, 10
"""For each join. Measured while no master listened, torch 2.15: `static` 5 in 3 s, `static-strict` 16 in 3 s."""

_STRANGERS = "strangers"


@CHECKERS.register("no_storm")
class NoStorm(Checker):
    """Judged by the kernel's counter of refused connects, which all processes of a network namespace share."""

    declaration = Declaration(
        kind="no_storm",
        summary="a join that waits for its master pauses between two tries to connect",
        example="{check: no_storm}",
        details=(
            f"All joins that overlap in time are allowed {AT_FIRST} refused connects each, and {IN_A_SECOND} more for"
            " each second that each of them lasts: several times what torch needs. A rank records the number of its"
            " network at the end of a join of 0.5 s or more. Not judged in a network that the world shares with others,"
            f" nor beside the fault `{_STRANGERS}`, which connects too."
        ),
    )
    standing = True

    def check(self, scenario: Scenario, history: History, parameters: Mapping[str, Any]) -> Verdict:
        if mapping(history.begin.get("world")).get("private_network") is not True:
            return self.nothing("the network is shared with others")
        if any(injection.kind == _STRANGERS for injection in history.injections):
            return self.nothing(f"the fault `{_STRANGERS}` connects too")
        everybody = joins(history)
        counts = [(join, number) for join in everybody if (number := _refused(join)) is not None]
        if not counts:
            return self.nothing("no connect was refused during a join")
        findings = [
            _finding(history, join, number, allowed)
            for join, number in counts
            if number > (allowed := _allowed(history, join, everybody))
        ]
        most = max(number for _, number in counts)
        return self.verdict(
            findings, f"at most {counted(most, 'connect')} of {counted(len(everybody), 'join')} refused"
        )


def _refused(join: Join) -> int | None:
    return whole(mapping(join.call.end.value if join.call.end is not None else None).get("refused"))


def _allowed(history: History, join: Join, everybody: tuple[Join, ...]) -> int:
    begun_ns, ended_ns = history.window_of(join.call)
    windows = [history.window_of(other.call) for other in everybody]
    lasting = [until_ns - since_ns for since_ns, until_ns in windows if since_ns <= ended_ns and until_ns >= begun_ns]
    return len(lasting) * AT_FIRST + round(sum(lasting) / 1e9 * IN_A_SECOND)


def _finding(history: History, join: Join, number: int, allowed: int) -> Finding:
    begun_ns, ended_ns = history.window_of(join.call)
    happened = f"{number} connects were refused in {format_ns(ended_ns - begun_ns)}"
    because = f"{happened} during {describe_call(join.call)}, allowed {allowed} for all joins at that time"
    return Finding(because, happened, join.call.evidence)
