"""The history of earlier nights: a file of JSON lines to which each run of the harness adds one line."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from harness.machine.regular import NotReadable, read_regular
from harness.reports.parts.facts import RED, counts
from harness.reports.parts.rows import Row
from harness.values.errors import UsageError
from harness.values.json import Fields
from harness.values.verdict import ERROR, FAILED, KNOWN, PASSED, SKIPPED, VACUOUS, worst

SCHEMA = "rdzv-night/1"
SHOWN = 30
MOST_BYTES = 1 << 28
LETTERS = {PASSED: "p", FAILED: "f", VACUOUS: "v", ERROR: "e", KNOWN: "k", SKIPPED: "s"}
NOT_PLAYED = "."
_ADVICE = "give a file that --history has written, or a new one"

Key = tuple[str, str, str]
"""What is the same from night to night: the path and id of a cell, with the subject and torch it was played with."""


@dataclass(frozen=True)
class Night:
    """What one run of the harness found.

    Attributes:
        at: when it ended, ISO 8601, UTC.
        statuses: of each cell that was played; of several attempts the worst.
    """

    at: str
    statuses: Mapping[Key, str] = field(default_factory=dict)

    @classmethod
    def of(cls, rows: Sequence[Row], at: str) -> Night:
        found: dict[Key, list[str]] = {}
        for row in rows:
            found.setdefault(key_of(row), []).append(str(row["status"]))
        return cls(at, {key: worst(tuple(statuses)) or statuses[0] for key, statuses in found.items()})

    def to_json(self) -> dict[str, Any]:
        """Cells by subject and torch, then by status: a line of 300 cells has some kilobytes."""
        cells: dict[str, dict[str, list[str]]] = {}
        for (cell, subject, torch), status in sorted(self.statuses.items()):
            cells.setdefault(json.dumps([subject, torch]), {}).setdefault(LETTERS[status], []).append(cell)
        groups = [{"of": json.loads(of), "cells": found} for of, found in cells.items()]
        return {"schema": SCHEMA, "at": self.at, "groups": groups}

    @classmethod
    def from_json(cls, value: Any) -> Night:
        """The night that `to_json` wrote; raises ValueError for anything else."""
        fields = Fields(value)
        if fields.text("schema") != SCHEMA:
            raise ValueError(f"schema is not {SCHEMA}")
        of_letters = {letter: status for status, letter in LETTERS.items()}
        statuses: dict[Key, str] = {}
        for group in fields.items("groups"):
            subject, torch = Fields(group).texts("of")
            for letter, cells in dict(group["cells"]).items():
                if letter not in of_letters:
                    raise ValueError(f"{letter!r} is no status")
                statuses.update({(str(cell), subject, torch): of_letters[letter] for cell in cells})
        return cls(fields.text("at"), statuses)


@dataclass(frozen=True)
class Nights:
    """All nights, oldest first; two equal ones count once, so the union of two files is a file."""

    nights: tuple[Night, ...] = ()

    @classmethod
    def of(cls, nights: Iterable[Night]) -> Nights:
        distinct = {json.dumps(night.to_json()): night for night in nights}
        return cls(tuple(sorted(distinct.values(), key=lambda night: night.at)))

    def past(self, key: Key) -> list[str]:
        """The statuses of a cell in the last nights; an empty text where it was not played."""
        return [night.statuses.get(key, "") for night in self.nights[-SHOWN:]]

    def marker(self, key: Key, status: str) -> str:
        """What is different from the last night that judged this cell: `new`, `known` or `fixed`; else empty.

        A red one is `new` if it was not red then, or never played; `known` if it was red then too. Without any night
        nothing can be said.
        """
        judged = [night.statuses[key] for night in self.nights if night.statuses.get(key, SKIPPED) != SKIPPED]
        if not self.nights or status == SKIPPED:
            return ""
        was_red = bool(judged) and judged[-1] in RED
        if status in RED:
            return "known" if was_red else "new"
        return "fixed" if was_red else ""


def key_of(row: Row) -> Key:
    """The cell of a row: the folder belongs to it, since two folders may have equal names."""
    return (f"{Path(row['path']).parent.name}/{row['id']}", str(row["subject"]), str(row["torch"]))


def read(path: Path) -> Nights:
    """The nights of a file; none if there is no file.

    Raises UsageError for a file that has anything else, with its line. A last line without an end was cut short by the
    end of a process, and does not count.
    """
    try:
        content = read_regular(path, MOST_BYTES)
    except FileNotFoundError:
        return Nights()
    except (OSError, NotReadable) as error:
        raise UsageError(f"cannot read {path} ({error}); {_ADVICE}") from error
    return Nights.of(_lines(path, content))


def _lines(path: Path, content: bytes) -> Iterator[Night]:
    whole, _, _ = content.rpartition(b"\n")
    for number, line in enumerate(whole.split(b"\n") if whole else (), 1):
        if not line.strip():
            continue
        try:
            yield Night.from_json(json.loads(line))
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise UsageError(f"{path}:{number}: not a night of this format ({error}); {_ADVICE}") from error


def line(night: Night) -> str:
    """What is appended to a file."""
    return json.dumps(night.to_json(), separators=(",", ":")) + "\n"


def counted(night: Night) -> dict[str, int]:
    """How many cells of a night had each status, by its short word."""
    return counts(night.statuses.values())
