"""The result file of one torch build and one subject: its values, its canonical text, and the union of two."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any, Literal, NamedTuple, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from harness.values.verdict import FAILED, KNOWN, PASSED

FORMAT: Literal["rdzv-record/v1"] = "rdzv-record/v1"

CONCLUSIVE = (PASSED, FAILED, KNOWN)
"""Statuses that say whether the subject keeps its claims; the others are played again by the next call."""

T = TypeVar("T")


class _Value(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class CallOutcome(_Value):
    """How one call ended.

    Attributes:
        outcome: one of `harness.values.ops.OUTCOMES`.
        classes: of the error that it raised, and of the chain of its causes, nearest first.
        message: the first line of the error, as `harness.record.normal` has it.
    """

    outcome: str
    classes: tuple[str, ...] = ()
    message: str = ""


class Outcome(_Value):
    """How all calls of one claim ended in one play; equal ones are one.

    Attributes:
        calls: the different ends, sorted.
        sample: the messages as they were, of one play.
        play: the id of that play in the record: the smallest of those that are known.
    """

    calls: tuple[CallOutcome, ...]
    sample: tuple[str, ...] = ()
    play: str = ""


class ClaimOutcome(NamedTuple):
    """Of one claim in one play; a pair in the file.

    Attributes:
        of: the key of its outcome in the file.
        seconds: how long the longest of its calls took that ended in an error, or hung; None if none did.
    """

    of: str
    seconds: float | None = None


class Play(_Value):
    """One play.

    Attributes:
        status: as the play was judged, with the `known` entries of that day.
        broken: the claims and invariants that were broken, sorted.
        because: why the play says nothing; empty if it does.
    """

    status: Literal["passed", "failed", "vacuous", "error", "known failure", "skipped"]
    broken: tuple[str, ...] = ()
    claims: Mapping[str, ClaimOutcome] = Field(default_factory=dict)
    because: str = ""

    @property
    def is_conclusive(self) -> bool:
        return self.status in CONCLUSIVE


Plays = Mapping[str, Play]
"""By their ids in the record (`harness.record.identity.record_id`)."""


class Results(_Value):
    """What one torch build and one subject did.

    Attributes:
        torch: the version with its build.
        cells: the name of a cell, then the digest of its scenario, then the plays.
        outcomes: by the keys that claims have.
    """

    format: Literal["rdzv-record/v1"] = FORMAT
    torch: str
    subject: str
    cells: Mapping[str, Mapping[str, Plays]] = Field(default_factory=dict)
    outcomes: Mapping[str, Outcome] = Field(default_factory=dict)

    def plays(self, cell: str, digest: str) -> Plays:
        """The plays of a cell whose scenario has this digest; those of other digests are not looked at."""
        return self.cells.get(cell, {}).get(digest, {})


def merged(one: Results, other: Results) -> Results:
    """The union by the ids of plays; in whatever order results are merged, they are the same.

    Of two plays of one id one that says something counts before one that does not, then the first by its text.

    Raises ValueError if the two are not of one torch and one subject.
    """
    if (one.torch, one.subject) != (other.torch, other.subject):
        raise ValueError(f"{one.subject} of torch {one.torch} and {other.subject} of torch {other.torch} are two files")
    return Results(
        torch=one.torch,
        subject=one.subject,
        cells=_union(one.cells, other.cells, lambda a, b: _union(a, b, lambda c, d: _union(c, d, _better))),
        outcomes=_union(one.outcomes, other.outcomes, _smaller),
    )


def _union(one: Mapping[str, T], other: Mapping[str, T], both: Any) -> dict[str, T]:
    found = {**one, **other}
    return {**found, **{key: both(one[key], other[key]) for key in one.keys() & other.keys()}}


def _better(one: Play, other: Play) -> Play:
    return min(one, other, key=lambda play: (not play.is_conclusive, _text(play)))


def _smaller(one: Outcome, other: Outcome) -> Outcome:
    return min(one, other, key=lambda outcome: (outcome.play, _text(outcome)))


# -- text ---------------------------------------------------------------------------------------------------------

_EXPANDED = {"cells": 4, "outcomes": 2}
"""How many levels of a part have a line for each of their keys, so that a play that comes is a line that comes."""


def canonical(results: Results) -> str:
    """The text of the file: the same for equal results, with a line for each play and each outcome."""
    document = results.model_dump(mode="json", exclude_defaults=True)
    document = {"format": FORMAT, **document}
    return "{\n" + ",\n".join(f" {_key(key)}{''.join(_part(key, value))}" for key, value in document.items()) + "\n}\n"


def _part(key: str, value: Any) -> Iterator[str]:
    yield from _lines(value, _EXPANDED.get(key, 0), 1)


def _lines(value: Any, levels: int, depth: int) -> Iterator[str]:
    if not levels or not isinstance(value, dict) or not value or levels == 1:
        yield _compact(value)
        return
    inner = " " * (depth + 1)
    rows = (f"{inner}{_key(key)}{''.join(_lines(one, levels - 1, depth + 1))}" for key, one in sorted(value.items()))
    yield "{\n" + ",\n".join(rows) + f"\n{' ' * depth}}}"


def _key(key: str) -> str:
    return f"{json.dumps(key)}: "


def _compact(value: Any) -> str:
    return json.dumps(value, sort_keys=True, separators=(", ", ": "))


def _text(value: _Value) -> str:
    return _compact(value.model_dump(mode="json"))


def parsed(text: str) -> Results:
    """The results of a file's text; raises ValueError with every field that is wrong."""
    try:
        return Results.model_validate(json.loads(text))
    except ValidationError as error:
        wrong = "; ".join(f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in error.errors()[:5])
        raise ValueError(f"no results of a track record ({wrong})") from error
    except (ValueError, RecursionError) as error:
        raise ValueError(f"not JSON ({error})") from error
