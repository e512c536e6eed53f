"""The runs of several subjects beside each other, claim by claim, as a Markdown table."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from harness.reports.parts.markdown import table_line, text
from harness.scenario.builtin import is_builtin
from harness.values.verdict import ERROR, FAILED, KNOWN, PASSED, VACUOUS

KEPT = "kept"
NOT_PLAYED = "not played"
NOT_THERE = "not in this report"

Row = Mapping[str, Any]
"""One result, as the JSON report has it."""


@dataclass(frozen=True)
class Column:
    """What one run found.

    Attributes:
        name: what was tested, for the head of the column.
        rows: its results; what other columns have and this one has not is marked.
    """

    name: str
    rows: Sequence[Row]


@dataclass(frozen=True)
class Claim:
    """One scenario file, and in a few words how each column stands to it."""

    path: str
    title: str
    words: tuple[str, ...]

    @property
    def is_kept_by_all(self) -> bool:
        return all(word == KEPT for word in self.words)

    @property
    def is_played_by_none(self) -> bool:
        return all(word.startswith(NOT_PLAYED) for word in self.words)


def markdown(columns: Sequence[Column]) -> str:
    """A row for each claim that not all columns keep, and a closing line that counts the others."""
    found = claims(columns)
    shown = [claim for claim in found if not claim.is_kept_by_all and not claim.is_played_by_none]
    head = [table_line(["claim", *(text(column.name) for column in columns)]), table_line(["---"] * (len(columns) + 1))]
    table = [*head, *(table_line([_link(claim), *map(text, claim.words)]) for claim in shown), ""] if shown else []
    return "\n".join([*table, _closing(found, bool(shown))]) + "\n"


def claims(columns: Sequence[Column]) -> list[Claim]:
    """Every file's claim, in the order of their paths."""
    by_path = [_grouped(column.rows, "path") for column in columns]
    found = []
    for path in sorted({path for group in by_path for path in group}):
        everywhere = [group.get(path, []) for group in by_path]
        cells = {str(row["id"]) for rows in everywhere for row in rows}
        title = next(str(rows[0]["title"]) for rows in everywhere if rows)
        found.append(Claim(path, title, tuple(_word_among(rows, cells) for rows in everywhere)))
    return found


def _word_among(rows: Sequence[Row], cells: Collection[str]) -> str:
    """The word of one column, and how many of all columns' cells it lacks."""
    if not rows:
        return NOT_THERE
    lacking = len(cells) - len({str(row["id"]) for row in rows})
    return f"{word(rows)}; {lacking} cell{'s' if lacking != 1 else ''} {NOT_THERE}" if lacking else word(rows)


def word(rows: Sequence[Row]) -> str:
    """How all cells and repetitions of one file came out; one that breaks the claim decides, however many keep it."""
    cells = _grouped([row for row in rows if row["status"] in (PASSED, FAILED, KNOWN, VACUOUS, ERROR)], "id")
    if not cells:
        return f"{NOT_PLAYED} ({_reason(rows[0])})"
    broken = [group for group in cells.values() if any(row["status"] in (FAILED, KNOWN) for row in group)]
    if broken:
        share = f" in {len(broken)} of {len(cells)} cells" if len(broken) < len(cells) else ""
        return f"broken{share} ({_refs(broken)})"
    unclear = [row for group in cells.values() for row in group if row["status"] != PASSED]
    return f"no verdict ({unclear[0]['status']})" if unclear else KEPT


def _grouped(rows: Sequence[Row], key: str) -> dict[str, list[Row]]:
    groups: dict[str, list[Row]] = {}
    for row in rows:
        groups.setdefault(str(row[key]), []).append(row)
    return groups


def _refs(broken: Sequence[Sequence[Row]]) -> str:
    """The references of the known failures; what failed without being known says so."""
    rows = [row for group in broken for row in group]
    refs = list(dict.fromkeys(str(ref) for row in rows for ref in row["known_refs"]))
    unknown = ["not known"] if any(row["status"] == FAILED for row in rows) else []
    return ", ".join([*refs, *unknown]) or "known"


def _reason(row: Row) -> str:
    """Why a cell was skipped, without what to do about it."""
    return re.split(r" \(|; ", str(row["because"]), maxsplit=1)[0]


def _closing(found: Sequence[Claim], are_others: bool) -> str:
    kept = sum(claim.is_kept_by_all for claim in found)
    unplayed = sum(claim.is_played_by_none for claim in found)
    line = f"{_count(kept, 'other claim' if are_others else 'claim', 'is', 'are')} kept by all."
    return f"{line} {_count(unplayed, 'claim', 'was', 'were')} played by none." if unplayed else line


def _count(number: int, what: str, one: str, many: str) -> str:
    return f"{number} {what}s {many}" if number > 1 else f"{number or 'No'} {what} {one}"


def _link(claim: Claim) -> str:
    """To the file, whatever its name: never to another site, a script, or out of the link. A built-in one has none."""
    if is_builtin(claim.path):
        return text(claim.title)
    path = re.sub("^/+", "/", claim.path)
    return f"[{text(claim.title)}]({quote(path.encode('utf-8', 'surrogatepass'))})"
