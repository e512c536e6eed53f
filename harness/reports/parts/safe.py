"""Values and texts cut to what fits into a line, or into a report that a person reads."""

from __future__ import annotations

import json
from typing import Any

from harness.values.printable import printable

# More than any message of torch or claim has; a text of this size still fits a screen.
LONGEST_LINE = 2_000
# A command is there to be copied as a whole; this has room for two of the longest paths of Linux (PATH_MAX).
LONGEST_COMMAND = 10_000
MOST_LINES = 60


def shorten(text: str, width: int) -> str:
    """At most `width` characters; what was cut is shown by an ellipsis."""
    if len(text) <= width:
        return text
    return text[: max(width - 1, 0)] + "…" if width > 0 else ""


def one_line(text: str, most: int = LONGEST_LINE) -> str:
    """The text as `printable` shows it; of more than `most` characters the first, and how many were left out."""
    if len(text) <= most:
        return printable(text)
    return f"{printable(text[:most])}… ({len(text) - most:,} more characters)"


def some_lines(text: str, most: int = MOST_LINES) -> tuple[str, ...]:
    """Each line of the text as `one_line`; of more than `most` lines the first, and how many were left out."""
    lines = text.splitlines()
    more = (f"… {len(lines) - most:,} more lines",) if len(lines) > most else ()
    return (*map(one_line, lines[:most]), *more)


def short_json(value: Any, width: int = 60) -> str:
    """A value as JSON on one line, shortened; what is no JSON is shown as its repr."""
    try:
        text = json.dumps(value, ensure_ascii=False)
    except (TypeError, ValueError):
        text = repr(value)
    # An escape is longer than what it stands for, so what is cut here would be cut below.
    return shorten(printable(text[: width + 1]), width)
