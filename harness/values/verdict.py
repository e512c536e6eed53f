"""The verdicts on a run, and the reasons for them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Dict, Optional, Tuple

from harness.values.json import Fields

PASSED, FAILED, VACUOUS, ERROR, KNOWN, SKIPPED = "passed", "failed", "vacuous", "error", "known failure", "skipped"
STATUSES = (PASSED, FAILED, VACUOUS, ERROR, KNOWN, SKIPPED)


@dataclass(frozen=True)
class Violation:
    """One violation of a property; a verdict may have several.

    Attributes:
        check: the checker or the claim that is violated.
        because: one sentence a person reads.
        evidence: indexes of the operations that prove it.
    """

    check: str
    because: str
    evidence: Tuple[int, ...] = ()


@dataclass(frozen=True)
class Verdict:
    """The verdict of one checker or one claim on one history.

    Attributes:
        name: the claim's or the invariant's name; what `known.breaks` lists.
        status: `passed`, `failed`, `vacuous` (nothing to judge) or `error` (a part of the harness stood
            still, a checker that cannot decide or crashed).
        because: one sentence a person reads.
        expected, happened: what should have happened and what did, in short; may be empty.
        evidence: indexes of the operations that prove it.
        line: the claim's line in the scenario file, from 1; 0 for standing invariants.
        granted_ns: if it passed only because a bound of time is as much longer as processes were late, by how much the
            bound was missed at most, in nanoseconds; else 0.
        violations: of a `failed` one, each violation; not stored, since judging the run again finds them again.
    """

    name: str
    status: str
    because: str = ""
    expected: str = ""
    happened: str = ""
    evidence: Tuple[int, ...] = ()
    line: int = 0
    granted_ns: int = 0
    violations: Tuple[Violation, ...] = field(default=(), compare=False, repr=False)

    def to_json(self) -> Dict[str, Any]:
        """As JSON; `granted_ns` only where it is not 0."""
        granted = {"granted_ns": self.granted_ns} if self.granted_ns else {}
        return {
            "name": self.name,
            "status": self.status,
            "because": self.because,
            "expected": self.expected,
            "happened": self.happened,
            "evidence": list(self.evidence),
            "line": self.line,
            **granted,
        }

    @classmethod
    def from_json(cls, row: Any) -> Verdict:
        """The verdict that `to_json` wrote; raises ValueError with the field's name for anything else."""
        fields = Fields(row)
        return cls(
            fields.text("name"),
            fields.one_of("status", STATUSES),
            fields.text("because"),
            fields.text("expected"),
            fields.text("happened"),
            fields.wholes("evidence"),
            fields.whole("line"),
            fields.whole("granted_ns", 0, 0),
        )


@dataclass(frozen=True)
class Judgement:
    """The verdict of one cell: its status, and the verdict of every claim and invariant.

    Attributes:
        status: one of `STATUSES`.
        because: one sentence: why it has this status.
        verdicts: every claim's and every invariant's, in the order of the file, invariants last.
        known_refs: for `known failure`: the references of the entry that fits.
        unnamed_calls: how many calls no claim names.
        notes: what a reader should know (`unproven` faults, the host's network in use, ...).
    """

    status: str
    because: str
    verdicts: Tuple[Verdict, ...] = ()
    known_refs: Tuple[str, ...] = ()
    unnamed_calls: int = 0
    notes: Tuple[str, ...] = field(default=())

    @property
    def broken(self) -> Tuple[Verdict, ...]:
        """The verdicts that are not `passed`."""
        return tuple(verdict for verdict in self.verdicts if verdict.status != PASSED)

    def to_json(self) -> Dict[str, Any]:
        return {
            "status": self.status,
            "because": self.because,
            "verdicts": [verdict.to_json() for verdict in self.verdicts],
            "known_refs": list(self.known_refs),
            "unnamed_calls": self.unnamed_calls,
            "notes": list(self.notes),
        }

    @classmethod
    def from_json(cls, row: Any) -> Judgement:
        """The judgement that `to_json` wrote; raises ValueError with the field's name for anything else."""
        fields = Fields(row)
        return cls(
            fields.one_of("status", STATUSES),
            fields.text("because"),
            tuple(map(Verdict.from_json, fields.items("verdicts"))),
            fields.texts("known_refs"),
            fields.whole("unnamed_calls"),
            fields.texts("notes"),
        )


def worst(statuses: Tuple[str, ...]) -> Optional[str]:
    """The worst of several statuses: error, failed, vacuous, passed, known, skipped; None without any."""
    for status in (ERROR, FAILED, VACUOUS, PASSED, KNOWN, SKIPPED):
        if status in statuses:
            return status
    return None
