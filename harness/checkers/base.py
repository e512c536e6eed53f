"""The contract of a checker: from a scenario and a history, without side effects, one verdict."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from harness.history.stalls import excuse, explanation
from harness.history.wording import and_n_more
from harness.registry import Registry
from harness.scenario.scenario import Scenario
from harness.values.attribute import Declaration
from harness.values.history import History
from harness.values.quantity import format_ns
from harness.values.stall import Stall
from harness.values.verdict import ERROR, FAILED, PASSED, VACUOUS, Verdict


@dataclass(frozen=True)
class Finding:
    """One violation of a property.

    Attributes:
        because: one sentence a person reads.
        happened: the same in short.
        evidence: indexes of the operations that prove it.
        busy: the machine may be the cause: a part of the harness stood still, or the bound was missed by less time
            than a process waited for a processor.
    """

    because: str
    happened: str = ""
    evidence: tuple[int, ...] = ()
    busy: bool = False


def unless_stalled(history: History, window: tuple[int, int], because: str, **rest: Any) -> Finding:
    """A finding about something that a part of the harness can cause by standing still; `busy` if one did.

    That is a call that failed, hung, came late or came in another order. What no part of the harness can cause (a wrong
    value, a crash, ranks that disagree) is a plain `Finding`, whatever stood still.
    """
    stall = explanation(history, window)
    return Finding(because, **rest) if stall is None else _stalled(history, stall, because, **rest)


def _stalled(history: History, stall: Stall, because: str, **rest: Any) -> Finding:
    return Finding(f"{because}; {excuse(history, stall)}", **{**rest, "busy": True})


def late(history: History, window: tuple[int, int], missed_ns: int, because: str, **rest: Any) -> Finding:
    """The finding that a bound was missed by `missed_ns`.

    It is `busy` if a part of the harness stood still, or a process waited longer than that in the window.
    """
    stall = explanation(history, window)
    if stall is not None:
        return _stalled(history, stall, because, **rest)
    lag_ns = history.largest_lag_ns(min(window), max(window))
    if missed_ns >= lag_ns:
        return Finding(because, **rest)
    excuse = f"missed by {format_ns(missed_ns)}, and a process waited {format_ns(lag_ns)} for a processor"
    return Finding(f"{because}; {excuse}: the machine was too busy", busy=True, **rest)


def verdict_of(kind: str, findings: Sequence[Finding], expected: str, fine: str) -> Verdict:
    """The verdict of all findings: `passed` without any, `error` if all of them are `busy`, else `failed`."""
    if not findings:
        return Verdict(kind, PASSED, fine, expected)
    certain = [finding for finding in findings if not finding.busy]
    first, *_ = shown = certain or list(findings)
    evidence = dict.fromkeys(index for finding in shown for index in finding.evidence)
    return Verdict(
        kind,
        FAILED if certain else ERROR,
        first.because + and_n_more(len(shown)),
        expected,
        first.happened or first.because,
        tuple(evidence),
    )


class Checker(ABC):
    """One property.

    Attributes:
        declaration: its name and its parameters.
        standing: whether it judges every run, also without being asked for.
        safety: whether what it finds proves a defect of the subject however long anything took.
    """

    declaration: ClassVar[Declaration]
    standing: ClassVar[bool] = False
    safety: ClassVar[bool] = False

    @abstractmethod
    def check(self, scenario: Scenario, history: History, parameters: Mapping[str, Any]) -> Verdict:
        """The verdict; `vacuous` if there was nothing to judge, never an exception for an odd history.

        The verdict's `name` is the checker's kind; the caller replaces it with the claim's, and adds the line.
        """

    def nothing(self, because: str) -> Verdict:
        """The verdict that there was nothing to judge."""
        return Verdict(self.declaration.kind, VACUOUS, because, self.declaration.summary)

    def verdict(self, findings: Sequence[Finding], fine: str) -> Verdict:
        """The verdict of these findings; `fine` says what held if there are none."""
        return verdict_of(self.declaration.kind, findings, self.declaration.summary, fine)


CHECKERS: Registry[type[Checker]] = Registry("check", "harness.checkers", "rdzv_harness.checkers", Checker)


def standing_invariants() -> tuple[str, ...]:
    """The kinds of the checkers that judge every run, sorted."""
    return tuple(kind for kind, member in CHECKERS.items() if member.standing)
