"""Text from files, processes and other machines, made safe to print: on a terminal, in a log, in a report."""

from __future__ import annotations

import unicodedata


def printable(text: str) -> str:
    """The text with control characters, lone surrogates and invisible marks written as escapes; line breaks too.

    Nothing in the result moves a cursor, changes a colour, reverses the direction of writing or begins a line.
    """
    if text.isascii() and text.isprintable():
        return text
    return "".join(character if _harmless(character) else _escaped(character) for character in text)


def printable_lines(text: str) -> str:
    """The same for a text of several lines, which stay."""
    return "\n".join(printable(line) for line in text.split("\n"))


def _harmless(character: str) -> bool:
    return character.isprintable() or unicodedata.category(character) == "Zs"


def _escaped(character: str) -> str:
    return character.encode("unicode_escape").decode("ascii")
