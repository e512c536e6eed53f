"""One JSON document with everything a program wants to know of a run."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from harness import __version__
from harness.history.time_to_error import TimeToError
from harness.reports.base import REPORTS, Part, RowReport
from harness.reports.parts import deadlines, facts
from harness.reports.parts.rows import Row

FORMAT = "rdzv-report/v1"

# Half a character, as file names have that are not UTF-8: JSON can write it, and strict readers refuse the document.
_HALF = re.compile("[\ud800-\udfff]")
# What CI services obey anywhere in a line of a log: see `harness.values.printable`.
_COMMAND = re.compile(r"#(?=#(?:vso|teamcity)?\[)", re.IGNORECASE)


@REPORTS.register("json")
class JsonReport(RowReport):
    """`meta`, then `results` in the order in which they ended."""

    _part: Part | None = None

    def covers(self, part: Part) -> None:
        self._part = part

    def text(self, rows: Sequence[Row], interrupted: bool) -> str:
        text = json.dumps(_whole(document(rows, interrupted, self._part)), indent=2)
        return _COMMAND.sub(r"\\u0023", text) + "\n"  # `#` stands in texts only


def document(rows: Sequence[Row], interrupted: bool = False, part: Part | None = None) -> dict[str, Any]:
    """The whole document as plain values; what every row says of where it ran stands in `meta` once."""
    meta = {
        "schema": FORMAT,
        "harness": __version__,
        **{name: _distinct(rows, name) for name in facts.ABOUT},
        "counts": facts.counts(str(row["status"]) for row in rows),
        "deadlines": [line.to_json() for line in deadlines.lines(_times_to_error(rows))],
        "interrupted": interrupted,
        **({} if part is None else {"shard": asdict(part)}),
    }
    return {"meta": meta, "results": list(rows)}


def _times_to_error(rows: Sequence[Row]) -> Iterator[TimeToError]:
    return (TimeToError.from_json(time) for row in rows for time in row["times_to_error"])


def _distinct(rows: Sequence[Row], name: str) -> list[str]:
    return list(dict.fromkeys(row[name] for row in rows if row.get(name)))


def _whole(value: Any) -> Any:
    """The value; each half of a character in its texts is written as an escape, as `printable` does."""
    if isinstance(value, str):
        return value if value.isascii() else _HALF.sub(lambda half: f"\\u{ord(half[0]):04x}", value)
    if isinstance(value, Mapping):
        return {_whole(key): _whole(one) for key, one in value.items()}
    return [_whole(one) for one in value] if isinstance(value, list | tuple) else value
