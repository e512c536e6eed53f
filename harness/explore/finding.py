"""A finding: a failure that the explorer has reproduced and made small, as `finding.json` stores it."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from hashlib import sha256
from typing import Any

from harness.explore.observation import Signature
from harness.reports.parts.statistics import wilson
from harness.values.json import Fields

FILED_FROM = 0.5
"""The least lower bound of the 95 % Wilson interval of `failed` of `of` with which a finding is filed."""

UNREPRODUCED = "unreproduced"
"""The folder of those that are not filed."""

FEWEST_HITS = 2
"""In so many plays of a draft a failure must be seen again: then it is real, however seldom it comes."""

_FORMAT = 1
_LONGEST_NAME = 100
_DIGITS = 8
_PLAIN = re.compile(rf"[A-Za-z0-9][A-Za-z0-9_.+@-]{{0,{_LONGEST_NAME - 1}}}")
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")


@dataclass(frozen=True)
class Tried:
    """How often the minimal scenario failed with one subject and torch.

    Attributes:
        breaks: the claims and standing invariants that were broken, as `known.breaks` lists them.
    """

    subject: str
    torch: str
    failed: int
    of: int
    breaks: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, row: Any) -> Tried:
        """What `to_json` wrote; raises ValueError with the field's name for anything else."""
        fields = Fields(row)
        failed, of = _share(fields)
        return cls(fields.text("subject"), fields.text("torch"), failed, of, fields.texts("breaks"))


@dataclass(frozen=True)
class StoredFinding:
    """One cause, and what is known about it.

    Attributes:
        cause: its cause key; findings with equal keys are one.
        failed, of: how many fresh plays of the minimal scenario failed with this signature.
        breaks: the claims and standing invariants that the stored run broke.
        seed: what the draft was drawn from that found it.
        played_with: the seed of the stored run.
        subject, torch, python, harness: what failed; torch and Python are those of the ranks.
        engine: what carried the links, such as `embedded engine`.
        ancestry: ids of drafts: the one that found it, then each that shrinking accepted, the minimal one last.
        first_seen, last_seen: UTC, as `2026-12-02T01:02:03Z`.
        seen: how many times.
        explained_by: the failure or documented limit that it is, such as `F02`; empty if it is not known.
        tried: the minimal scenario with other subjects, and other versions of torch.
        without_faults: the minimal scenario without its faults, with the subject that failed; None if not played.
        found_with: further subjects with which an exploration has found the same cause by itself.
        unreproduced: whether it failed again so seldom that it is not filed.
        compared: whether all plays of the comparison were made; what is missing of `tried` then said nothing.
    """

    cause: str
    signature: Signature
    failed: int
    of: int
    breaks: tuple[str, ...]
    seed: int
    played_with: int
    subject: str
    torch: str
    python: str
    harness: str
    engine: str
    ancestry: tuple[str, ...]
    first_seen: str
    last_seen: str
    seen: int = 1
    explained_by: str = ""
    tried: tuple[Tried, ...] = ()
    without_faults: Tried | None = None
    found_with: tuple[str, ...] = ()
    unreproduced: bool = False
    compared: bool = False

    @property
    def is_confirmed(self) -> bool:
        """Whether it was seen again; one that is not filed may have failed too seldom for that."""
        return not self.unreproduced or self.failed >= FEWEST_HITS

    @property
    def interval(self) -> tuple[float, float]:
        """In which the share of plays that fail lies with 95 % confidence."""
        return wilson(self.failed, self.of)

    @property
    def name(self) -> str:
        """The name of its folder."""
        return folder_name(self.cause)

    @property
    def all_tried(self) -> tuple[Tried, ...]:
        """Every subject and torch with which the minimal scenario was played, the one that found it first."""
        return (Tried(self.subject, self.torch, self.failed, self.of, self.breaks), *self.tried)

    def is_of(self, subject: str) -> bool:
        """Whether an exploration of this subject has found it."""
        return subject == self.subject or subject in self.found_with

    def seen_again(self, now: str, subject: str = "") -> StoredFinding:
        """The same finding, seen once more, perhaps with another subject."""
        found_with = self.found_with if not subject or self.is_of(subject) else (*self.found_with, subject)
        return replace(self, last_seen=max(now, self.last_seen), seen=self.seen + 1, found_with=found_with)

    def with_tries(self, tried: Iterable[Tried], without_faults: Tried | None, done: bool) -> StoredFinding:
        """With further tries; newer ones of a subject and torch take the place of older ones."""
        by_subject = {(one.subject, one.torch): one for one in (*self.tried, *tried)}
        return replace(
            self,
            tried=tuple(by_subject.values()),
            without_faults=without_faults or self.without_faults,
            compared=self.compared or done,
        )

    def to_json(self) -> dict[str, Any]:
        """Every field, and the interval for people to read."""
        return {"format": _FORMAT, **asdict(self), "interval": [round(bound, 4) for bound in self.interval]}

    @classmethod
    def from_json(cls, row: Any) -> StoredFinding:
        """The finding that `to_json` wrote; raises ValueError with the field's name for anything else."""
        fields = Fields(row)
        if fields.whole("format") != _FORMAT:
            raise ValueError(f"format is {fields.whole('format')}, and this release reads {_FORMAT}")
        failed, of = _share(fields)
        return cls(
            cause=fields.text("cause"),
            signature=_within("signature", Signature.from_json, fields.value("signature")),
            failed=failed,
            of=of,
            breaks=fields.texts("breaks"),
            seed=fields.whole("seed"),
            played_with=fields.whole("played_with"),
            subject=fields.text("subject"),
            torch=fields.text("torch"),
            python=fields.text("python"),
            harness=fields.text("harness"),
            engine=fields.text("engine"),
            ancestry=_some(fields, "ancestry"),
            first_seen=_time(fields, "first_seen"),
            last_seen=_time(fields, "last_seen"),
            seen=fields.whole("seen", 1),
            explained_by=fields.text("explained_by"),
            tried=tuple(_within("tried", Tried.from_json, one) for one in fields.items("tried")),
            without_faults=_within("without_faults", _tried_or_none, row.get("without_faults")),
            found_with=fields.texts("found_with", ()),
            unreproduced=fields.flag("unreproduced"),
            compared=fields.flag("compared", False),
        )


def folder_name(cause: str) -> str:
    """A name that every file system takes, for a cause; a cause that is such a name keeps it."""
    if _PLAIN.fullmatch(cause) and cause != UNREPRODUCED:
        return cause
    digest = sha256(cause.encode("utf-8", "backslashreplace")).hexdigest()[:_DIGITS]
    words = re.sub(r"[^a-z0-9]+", "-", cause.lower()).strip("-")[: _LONGEST_NAME - _DIGITS - 1].strip("-")
    return f"{words}-{digest}" if words else digest


def _share(fields: Fields) -> tuple[int, int]:
    failed, of = fields.whole("failed"), fields.whole("of")
    if failed > of:
        raise ValueError(f"failed is {failed}, and of is {of}")
    return failed, of


def _tried_or_none(row: Any) -> Tried | None:
    return None if row is None else Tried.from_json(row)


def _some(fields: Fields, name: str) -> tuple[str, ...]:
    found = fields.texts(name)
    if not found:
        raise ValueError(f"{name} is empty")
    return found


def _time(fields: Fields, name: str) -> str:
    value = fields.text(name)
    if not _TIME.fullmatch(value):
        raise ValueError(f"{name} is {value[:40]!r}, not a time such as 2026-12-02T01:02:03Z")
    return value


def _within(name: str, read: Any, row: Any) -> Any:
    try:
        return read(row)
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from error
