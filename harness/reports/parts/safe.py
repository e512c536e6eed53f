"""Text from processes and files, made safe to print: no control characters, no more than fits."""

from __future__ import annotations

import json
import unicodedata
from typing import Any


def printable(text: str) -> str:
    """The text with control characters, lone surrogates and invisible marks written as escapes; line breaks too."""
    return "".join(character if _harmless(character) else _escaped(character) for character in text)


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


def _harmless(character: str) -> bool:
    return character.isprintable() or unicodedata.category(character) == "Zs"


def _escaped(character: str) -> str:
    return character.encode("unicode_escape").decode("ascii")
