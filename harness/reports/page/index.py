"""The index of a page: what the overview shows of all results."""

from __future__ import annotations

import re
from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness import __version__
from harness.reports.page.nights import LETTERS, NOT_PLAYED, SHOWN, Nights, counted, key_of
from harness.reports.parts import facts
from harness.reports.parts.rows import Row, about
from harness.reports.parts.safe import LONGEST_COMMAND
from harness.reports.parts.statistics import wilson
from harness.values.printable import printable
from harness.values.verdict import ERROR, FAILED, PASSED, SKIPPED, VACUOUS

SCHEMA = "rdzv-page/1"
RED, GREEN, NONE = "red", "green", "none"
LONGEST_TEXT = 600
LONGEST_PROOF = 60
"""Lines of what the console shows of a red one; the picture has everything."""

_SEVERITY = {FAILED: 0, ERROR: 1, VACUOUS: 2}
_NOT_RED = {"known": "failed as known", "skipped": "skipped"}
_NUMBERS = re.compile(r"\d+(\.\d+)?")


@dataclass(frozen=True)
class Written:
    """What a page says of itself.

    Attributes:
        at: when it was written, ISO 8601, UTC.
        interrupted: whether the run was stopped before its end.
        history: the name of the file of nights; empty if none was given.
    """

    at: str
    interrupted: bool = False
    history: str = ""


def index(rows: Sequence[Row], blocks: Container[int], written: Written, nights: Nights) -> dict[str, Any]:
    """The whole index.

    Args:
        rows: the results in the order in which they ended.
        blocks: the numbers of those rows that have a picture.
        nights: those before this run.
    """
    return {
        "schema": SCHEMA,
        "harness": __version__,
        "written": written.at,
        "interrupted": written.interrupted,
        "sentence": sentence(rows, written.interrupted),
        "status": _status(rows),
        "unit": _unit(rows),
        "counts": facts.counts(str(row["status"]) for row in rows),
        "about": [list(pair) for pair in facts.headline(map(about, rows))],
        "rows": [_row(row, number in blocks, nights) for number, row in enumerate(rows)],
        "groups": groups(rows),
        "claims": _claims(rows),
        "history": _history(nights, written.history),
    }


def sentence(rows: Sequence[Row], interrupted: bool) -> str:
    """The verdict: `2 of 336 cells are red: 1 failed, 1 vacuous.`"""
    counts = facts.counts(str(row["status"]) for row in rows)
    what = _unit(rows)
    cut = " The run was interrupted: what was not played is missing." if interrupted else ""
    if not rows:
        return f"Nothing was played.{cut}"
    reds = {short: counts[short] for status, short in facts.SHORT.items() if status in facts.RED and counts[short]}
    if not reds:
        others = [f"{counts[short]} {words}" for short, words in _NOT_RED.items() if counts[short]]
        played = f"{_count(counts['passed'], what)} passed"
        return f"Nothing is red: {', '.join([played, *others])}.{cut}"
    number = sum(reds.values())
    found = ", ".join(f"{count} {short}" for short, count in reds.items())
    return f"{number} of {_count(len(rows), what)} {'is' if number == 1 else 'are'} red: {found}.{cut}"


def _unit(rows: Sequence[Row]) -> str:
    """What a row is: a cell, or one run of it where cells have several attempts."""
    return "run" if any(row["attempt"] > 1 for row in rows) else "cell"


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


def _status(rows: Sequence[Row]) -> str:
    if any(row["status"] in facts.RED for row in rows):
        return RED
    return GREEN if any(row["status"] != SKIPPED for row in rows) else NONE


def _row(row: Row, has_block: bool, nights: Nights) -> dict[str, Any]:
    path, key = Path(row["path"]), key_of(row)
    status = str(row["status"])
    return {
        "id": _short(row["id"]),
        "title": _short(row["title"]),
        "path": _short(row["path"]),
        "folder": _short(path.parent.name),
        "cell": _short(",".join(f"{name.rsplit('.', 1)[-1]}={label}" for name, label in row["cell"].items())),
        "attempt": row["attempt"],
        "subject": _short(row["subject"]),
        "torch": _short(row["torch"]),
        "seed": row["seed"],
        "status": status,
        "because": _short(row["because"]) if status != PASSED else "",
        "refs": [_short(ref) for ref in row["known_refs"]],
        "waits": _short(row["waits"]["sentence"]) if status in facts.RED else "",
        "broken": [_short(one["name"]) for one in row["verdicts"] if one["status"] != PASSED],
        "tags": [_short(tag) for tag in row.get("tags", ())],
        "seconds": row["seconds"],
        "run_dir": _short(row["run_dir"] or ""),
        "command": _short(row["command"], LONGEST_COMMAND),
        "proof": _proof(row["proof"]),
        "block": has_block,
        "missing": "" if has_block else _short(str(row.get("missing") or _missing(row))),
        "marker": nights.marker(key, status),
        "past": _past(nights.past(key)),
    }


def _proof(lines: Sequence[str]) -> list[str]:
    shown = [_short(line) for line in lines[:LONGEST_PROOF]]
    return [*shown, f"… {len(lines) - LONGEST_PROOF} more lines"] if len(lines) > LONGEST_PROOF else shown


def _missing(row: Row) -> str:
    """Why there is no picture of a row."""
    if row["run_dir"] is None:
        return "nothing was played"
    return "its operations were not kept; play it again with the command below"


def _short(text: str, most: int = LONGEST_TEXT) -> str:
    shown = printable(text[:most])
    return f"{shown}…" if len(text) > most else shown


def _past(statuses: Sequence[str]) -> dict[str, Any] | None:
    """How often a cell was not red in the last nights; None if no night judged it."""
    judged = [status for status in statuses if status and status != SKIPPED]
    if not judged:
        return None
    good = sum(status not in facts.RED for status in judged)
    low, high = wilson(good, len(judged))
    nights = "".join(LETTERS.get(status, NOT_PLAYED) for status in statuses)
    return {"k": good, "n": len(judged), "low": round(low, 4), "high": round(high, 4), "nights": nights}


# -- groups and claims -------------------------------------------------------------------------------------------------


def groups(rows: Sequence[Row]) -> list[dict[str, Any]]:
    """The reds by their reason, in which numbers do not count; the most severe first, then the largest."""
    found: dict[tuple[str, str], list[int]] = {}
    for number, row in enumerate(rows):
        if row["status"] in facts.RED:
            found.setdefault((row["status"], _NUMBERS.sub("#", str(row["because"]))), []).append(number)
    ordered = sorted(found.items(), key=lambda item: (_SEVERITY[item[0][0]], -len(item[1]), item[1]))
    return [{"because": _short(rows[numbers[0]]["because"]), "rows": numbers} for _, numbers in ordered]


def _claims(rows: Sequence[Row]) -> dict[str, Any]:
    """Each scenario file against each subject with its torch."""
    columns = _columns(rows)
    by_path: dict[str, dict[tuple[str, str], list[int]]] = {}
    for number, row in enumerate(rows):
        column = _column(row, columns)
        by_path.setdefault(str(row["path"]), {}).setdefault(column, []).append(number)
    lines = [
        {
            "path": _short(path),
            "title": _short(rows[next(iter(cells.values()))[0]]["title"]),
            "folder": _short(Path(path).parent.name),
            "cells": [cells.get(column, []) for column in columns],
        }
        for path, cells in sorted(by_path.items())
    ]
    return {"columns": [{"subject": _short(one), "torch": _short(two)} for one, two in columns], "lines": lines}


def _columns(rows: Iterable[Row]) -> list[tuple[str, str]]:
    """A skipped row does not know its torch: it belongs to the first column of its subject that does."""
    found = list(dict.fromkeys((str(row["subject"]), str(row["torch"])) for row in rows))
    known = {subject for subject, torch in found if torch}
    return [(subject, torch) for subject, torch in found if torch or subject not in known]


def _column(row: Row, columns: Sequence[tuple[str, str]]) -> tuple[str, str]:
    own = (str(row["subject"]), str(row["torch"]))
    return own if own in columns else next(column for column in columns if column[0] == own[0])


def _history(nights: Nights, name: str) -> Mapping[str, Any] | None:
    if not name:
        return None
    shown = [{"at": _short(night.at), **counted(night)} for night in nights.nights[-SHOWN:]]
    return {"nights": shown, "file": _short(name)}
