"""What a checker promises: from a scenario and a history, without side effects, one verdict or several."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from harness.history.wording import and_n_more
from harness.registry import Registry
from harness.scenario.scenario import Scenario
from harness.values.attribute import Declaration
from harness.values.history import History
from harness.values.quantity import format_ns
from harness.values.verdict import ERROR, FAILED, PASSED, VACUOUS, Verdict


@dataclass(frozen=True)
class Finding:
    """One way in which a property is broken.

    Attributes:
        because: one sentence a person reads.
        happened: the short form of it.
        evidence: indexes of the operations that prove it.
        busy: it may be the machine's doing: a bound missed by less than a process waited for a processor.
    """

    because: str
    happened: str = ""
    evidence: tuple[int, ...] = ()
    busy: bool = False


def late(history: History, window: tuple[int, int], missed_ns: int, because: str, **rest: Any) -> Finding:
    """The finding that a bound was missed by `missed_ns`; the machine's doing if the window saw a larger lag."""
    lag_ns = history.largest_lag_ns(min(window), max(window))
    if missed_ns >= lag_ns:
        return Finding(because, **rest)
    excuse = f"missed by {format_ns(missed_ns)}, and a process waited {format_ns(lag_ns)} for a processor"
    return Finding(f"{because}; {excuse}: the machine was too busy", busy=True, **rest)


def verdict_of(kind: str, findings: Sequence[Finding], expected: str, fine: str) -> Verdict:
    """One verdict of all findings: `passed` of none, `error` if all may be the machine's doing, else `failed`."""
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
        declaration: what it is called and takes.
        standing: whether it judges every run, asked for or not.
    """

    declaration: ClassVar[Declaration]
    standing: ClassVar[bool] = False

    @abstractmethod
    def check(self, scenario: Scenario, history: History, parameters: Mapping[str, Any]) -> Verdict:
        """The verdict; `vacuous` if there was nothing to judge, never an exception for an odd history.

        The verdict's `name` is the checker's kind; the caller puts the claim's name and line in.
        """

    def nothing(self, because: str) -> Verdict:
        """There was nothing to judge."""
        return Verdict(self.declaration.kind, VACUOUS, because, self.declaration.summary)

    def verdict(self, findings: Sequence[Finding], fine: str) -> Verdict:
        """What the findings amount to; `fine` says what held if there are none."""
        return verdict_of(self.declaration.kind, findings, self.declaration.summary, fine)


CHECKERS: Registry[type[Checker]] = Registry("check", "harness.checkers", "rdzv_harness.checkers", Checker)
