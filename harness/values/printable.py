"""Text from files, processes and other machines, made safe to print: on a terminal, in a log, in a report."""

from __future__ import annotations

import re
import unicodedata

# What CI services obey in a line that a program prints: GitHub's `::error::` at its beginning and `##[error]` anywhere
# (https://github.com/actions/runner, ActionCommand.cs), Azure's `##vso[`, TeamCity's `##teamcity[`. A line may be
# folded anywhere, so each is made harmless wherever it stands.
_COMMAND = re.compile(
    r":(?=:(?:add-mask|add-matcher|add-path|debug|echo|endgroup|error|group|internal-set-repo-path|notice"
    r"|remove-matcher|save-state|set-env|set-output|stop-commands|warning)(?: |::))"
    r"|#(?=#(?:vso|teamcity)?\[)",
    re.IGNORECASE,
)


def printable(text: str) -> str:
    """The text with control characters, lone surrogates and invisible marks written as escapes; line breaks too.

    Nothing in the result moves a cursor, changes a colour, reverses the direction of writing, begins a line, or is a
    command to a CI service that reads the log.
    """
    if not (text.isascii() and text.isprintable()):
        text = "".join(character if _harmless(character) else _escaped(character) for character in text)
    return _COMMAND.sub(_as_number, text) if "::" in text or "##" in text else text


def printable_lines(text: str) -> str:
    """The same for a text of several lines, which stay."""
    return "\n".join(printable(line) for line in text.split("\n"))


def _harmless(character: str) -> bool:
    return character.isprintable() or unicodedata.category(character) == "Zs"


def _escaped(character: str) -> str:
    return character.encode("unicode_escape").decode("ascii")


def _as_number(match: re.Match[str]) -> str:
    return f"\\x{ord(match[0]):02x}"
