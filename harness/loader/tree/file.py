"""From a path to the text of a scenario file: only a regular file is read, and only as much as a scenario may have."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from harness.loader.tree.limits import LARGEST_FILE_BYTES
from harness.loader.tree.problems import split_lines
from harness.values.errors import ScenarioError
from harness.values.printable import printable

# A pipe without a writer is not waited for, and a terminal does not become ours.
_FLAGS = os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC

_KINDS = (
    (stat.S_ISDIR, "a folder"),
    (stat.S_ISFIFO, "a pipe"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
)


def read_text(path: Path) -> str:
    """The file's text; raises ScenarioError unless it is a regular file in UTF-8 that is not too large."""
    try:
        return decode(_read(path), path)
    except OSError as error:
        reason = _not_regular(path) or f"cannot be read: {error.strerror}; check the path and its permissions"
        raise _refused(path, reason) from None
    except ValueError as error:
        raise _refused(path, f"cannot be read: {error}; check the path") from None


def decode(data: bytes, path: Path) -> str:
    """The bytes as text; raises ScenarioError if they are too many or not UTF-8."""
    if len(data) > LARGEST_FILE_BYTES:
        raise _refused(path, f"too large for a scenario, which has at most {LARGEST_FILE_BYTES} bytes; {_ONE_CLAIM}")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = split_lines(data[: error.start].decode("utf-8", "replace"))
        place = f"{printable(str(path))}:{len(before)}:{len(before[-1]) + 1}"
        raise ScenarioError(
            [f"{place}: byte 0x{data[error.start]:02x} is not UTF-8\n  save the file as UTF-8"]
        ) from None


_ONE_CLAIM = "write one claim per file"


def _read(path: Path) -> bytes:
    """The file's bytes, one more than allowed at most. What the path means is decided once: when it is opened."""
    descriptor = os.open(path, _FLAGS)
    with open(descriptor, "rb", buffering=0) as file:
        kind = _kind(os.fstat(descriptor).st_mode)
        if kind:
            raise _refused(path, _no_file(kind))
        found = bytearray()
        while len(found) <= LARGEST_FILE_BYTES:
            more = file.read(LARGEST_FILE_BYTES + 1 - len(found))
            if not more:
                break
            found += more
    return bytes(found)


def _not_regular(path: Path) -> str:
    """Why a path that cannot be opened never could be; empty if it is a regular file, or there is none."""
    try:
        kind = _kind(os.stat(path).st_mode)
    except (OSError, ValueError):
        return ""
    return _no_file(kind) if kind else ""


def _no_file(kind: str) -> str:
    return f"this is {kind}; name a regular file that ends in .rdzv.yaml"


def _kind(mode: int) -> str:
    """What a path is in words; empty for a regular file."""
    if stat.S_ISREG(mode):
        return ""
    return next((word for test, word in _KINDS if test(mode)), "no regular file")


def _refused(path: Path, reason: str) -> ScenarioError:
    return ScenarioError([f"{printable(str(path))}: {reason}"])
