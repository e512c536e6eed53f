"""Files of a run directory as bytes, text and JSON; what is wrong with one is an error that names file and line."""

from __future__ import annotations

import errno
import json
from pathlib import Path
from typing import Any

from harness.machine.regular import NotReadable, read_regular
from harness.values.errors import HarnessError

MOST_DIGITS = 300
"""A longer integer does not fit a float, and no operation has one."""

DEEPEST = 100
"""Levels of lists and mappings inside each other; no operation has so many."""

MOST_BYTES_OF_TEXT = 1 << 24
"""Of a file that is not one of operations."""

ADVICE = "the run directory is damaged, play the scenario again"


class Damaged(HarnessError):
    """A file of a run directory is not as the harness stored it.

    Args:
        what: what is wrong with it.
        line: where, from 1; 0 if that is not known.
    """

    def __init__(self, path: Path, what: str, line: int = 0, advice: str = ADVICE) -> None:
        where = f"{path}:{line}" if line else str(path)
        super().__init__(f"{where}: {what}; {advice}")


class Gone(HarnessError):
    """A file is not there."""


def read_bytes(path: Path, most_bytes: int) -> bytes:
    """The content of a file; raises Gone if there is none, Damaged if it cannot be read."""
    try:
        return read_regular(path, most_bytes)
    except NotReadable as error:
        raise Damaged(path, str(error)) from error
    except (FileNotFoundError, NotADirectoryError) as error:
        raise Gone(f"there is no {path}") from error
    except OSError as error:
        reason = "it is a symbolic link" if error.errno == errno.ELOOP else f"cannot be read ({error.strerror})"
        raise Damaged(path, reason) from error


def text_of(path: Path, content: bytes) -> str:
    """The text of a file; raises Damaged for what is not UTF-8."""
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise Damaged(path, "not UTF-8", content.count(b"\n", 0, error.start) + 1) from error


def json_of(path: Path, text: str, advice: str = ADVICE) -> Any:
    """The value of a file with JSON; raises Damaged for anything else."""
    try:
        return parse_json(text)
    except json.JSONDecodeError as error:
        raise Damaged(path, f"not JSON ({error.msg})", error.lineno, advice) from error
    except ValueError as error:
        raise Damaged(path, str(error), advice=advice) from error


def parse_json(text: str) -> Any:
    """The value of a JSON text.

    Raises ValueError for what is not JSON, and for numbers and levels beyond any that the harness writes.
    """
    if text.count("[") + text.count("{") > DEEPEST and _depth(text) > DEEPEST:
        raise ValueError(f"more than {DEEPEST} levels of lists and mappings")
    return json.loads(text, parse_int=_integer)


def _integer(digits: str) -> int:
    if len(digits) > MOST_DIGITS:
        raise ValueError(f"an integer of {len(digits)} digits")
    return int(digits)


def _depth(text: str) -> int:
    """The deepest level of a JSON text; brackets inside strings do not count."""
    depth = deepest = 0
    inside = escaped = False
    for character in text:
        if inside:
            escaped, inside = character == "\\" and not escaped, escaped or character != '"'
        elif character == '"':
            inside = True
        elif character in "[{":
            depth += 1
            deepest = max(deepest, depth)
        elif character in "]}":
            depth -= 1
    return deepest
