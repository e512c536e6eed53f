"""Values and texts cut to what fits into a line."""

from __future__ import annotations

import json
from typing import Any

from harness.values.printable import printable


def shorten(text: str, width: int) -> str:
    """At most `width` characters; what was cut is shown by an ellipsis."""
    if len(text) <= width:
        return text
    return text[: max(width - 1, 0)] + "…" if width > 0 else ""


def short_json(value: Any, width: int = 60) -> str:
    """A value as JSON on one line, shortened; what is no JSON is shown as its repr."""
    try:
        text = json.dumps(value, ensure_ascii=False)
    except (TypeError, ValueError):
        text = repr(value)
    return shorten(printable(text), width)
