"""The contract of a checker: from a scenario and a history, without side effects, one verdict."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from harness.history.lateness import lateness, ranks_needed
from harness.history.stalls import excuse, explanation
from harness.history.wording import and_n_more
from harness.registry import Registry
from harness.scenario.scenario import Scenario
from harness.values.attribute import Declaration
from harness.values.history import Call, History
from harness.values.quantity import format_ns
from harness.values.stall import STOPPED, Stall
from harness.values.verdict import ERROR, FAILED, PASSED, VACUOUS, Verdict, Violation


@dataclass(frozen=True)
class Finding:
    """One violation of a property.

    Attributes:
        because: one sentence a person reads.
        happened: the same in short.
        evidence: indexes of the operations that prove it.
        busy: the machine may be the cause, because a part of the harness stood still.
        granted_ns: the bound was missed by so much, and holds with the lateness that was measured: no violation, and
            told all the same. 0 for a violation.
    """

    because: str
    happened: str = ""
    evidence: tuple[int, ...] = ()
    busy: bool = False
    granted_ns: int = 0


def unless_stalled(history: History, window: tuple[int, int], because: str, **rest: Any) -> Finding:
    """A finding about something that a part of the harness can cause by standing still; `busy` if one did.

    That is a call that failed, hung, came late or came in another order. What no part of the harness can cause (a wrong
    value, a crash, ranks that disagree) is a plain `Finding`, whatever stood still.
    """
    return _unless(explanation(history, window), history, because, **rest)


def unless_stopped(history: History, window: tuple[int, int], because: str, **rest: Any) -> Finding:
    """Likewise, of what a wait for a processor cannot cause: a call that ended too early, by its own clock.

    A stop still can: what it makes another process do, such as giving up, may end the call.
    """
    return _unless(explanation(history, window, (STOPPED,)), history, because, **rest)


def _unless(stall: Stall | None, history: History, because: str, **rest: Any) -> Finding:
    if stall is None:
        return Finding(because, **rest)
    return Finding(f"{because}; {excuse(history, stall)}", **{**rest, "busy": True})


def late(history: History, call: Call, window: tuple[int, int], missed_ns: int, because: str, **rest: Any) -> Finding:
    """The finding that a call missed an upper bound of time by `missed_ns`.

    The bound is as much longer as the processes that took part were late in the window: missed by no more than that, it
    holds, and the finding is `granted`. Missed by more, it is a violation unless a part of the harness stood still: a
    back-off that this causes takes longer than itself.
    """
    measured = lateness(history, window, ranks_needed(history, call))
    if missed_ns <= measured.total_ns:
        return granted(missed_ns, f"{because}; missed by {format_ns(missed_ns)}, and {measured}", **rest)
    return unless_stalled(history, window, because, **rest)


def granted(missed_ns: int, because: str, **rest: Any) -> Finding:
    """A bound that was missed by `missed_ns`, and holds all the same, for a reason that `because` tells."""
    return Finding(because, **rest, granted_ns=missed_ns)


def verdict_of(kind: str, findings: Sequence[Finding], expected: str, fine: str) -> Verdict:
    """The verdict of all findings: `passed` without a violation, `error` if all of them are `busy`, else `failed`."""
    violations = [finding for finding in findings if not finding.granted_ns]
    if not violations:
        return _passed(kind, findings, expected, fine)
    certain = [finding for finding in violations if not finding.busy]
    first, *_ = shown = certain or violations
    return Verdict(
        kind,
        FAILED if certain else ERROR,
        first.because + and_n_more(len(shown)),
        expected,
        first.happened or first.because,
        _evidence(shown),
        violations=tuple(Violation(kind, finding.because, finding.evidence) for finding in certain),
    )


def _passed(kind: str, grants: Sequence[Finding], expected: str, fine: str) -> Verdict:
    if not grants:
        return Verdict(kind, PASSED, fine, expected)
    most = max(grants, key=lambda grant: grant.granted_ns)
    because = f"{fine}; {most.because}{and_n_more(len(grants))}"
    return Verdict(kind, PASSED, because, expected, most.happened, _evidence(grants), granted_ns=most.granted_ns)


def _evidence(findings: Sequence[Finding]) -> tuple[int, ...]:
    return tuple(dict.fromkeys(index for finding in findings for index in finding.evidence))


class Checker(ABC):
    """One property.

    Attributes:
        declaration: its name and its parameters.
        standing: whether it judges every run, also without being asked for.
        safety: whether what it finds proves a defect of the subject however long anything took.
        explored: whether `{check: invariants}` asks it. It must be right about any scenario, with its default
            parameters: nobody has looked at what the run is about. A standing one judges every run anyway.
    """

    declaration: ClassVar[Declaration]
    standing: ClassVar[bool] = False
    safety: ClassVar[bool] = False
    explored: ClassVar[bool] = False

    @classmethod
    def problems(cls, parameters: Mapping[str, Any]) -> Sequence[str]:
        """What is wrong with parameters that are valid one by one; the loader reports it at the claim."""
        return ()

    @abstractmethod
    def check(self, scenario: Scenario, history: History, parameters: Mapping[str, Any]) -> Verdict:
        """The verdict; `vacuous` if there was nothing to judge, never an exception for an odd history.

        The verdict's `name` is the checker's kind; the caller replaces it with the claim's, and adds the line.
        """

    def explore(self, scenario: Scenario, history: History) -> Verdict:
        """The verdict for `{check: invariants}`.

        A checker overrides it that would be wrong, without a further guard, about a run of which nothing is known.
        """
        return self.check(scenario, history, {})

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


def explored_invariants() -> tuple[str, ...]:
    """The kinds of the checkers that `{check: invariants}` asks, sorted; without those that judge every run."""
    return tuple(kind for kind, member in CHECKERS.items() if member.explored and not member.standing)
