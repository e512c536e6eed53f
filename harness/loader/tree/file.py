"""From a path to the text of a scenario file: only a regular file is read, and only as much as a scenario may have."""

from __future__ import annotations

from pathlib import Path

from harness.loader.tree.limits import LARGEST_FILE_BYTES
from harness.loader.tree.problems import split_lines
from harness.machine.regular import NotReadable, NotRegular, read_regular
from harness.values.errors import ScenarioError
from harness.values.printable import printable

_TOO_LARGE = f"too large for a scenario, which has at most {LARGEST_FILE_BYTES} bytes; write one claim per file"


def read_text(path: Path) -> str:
    """The file's text; raises ScenarioError unless it is a regular file in UTF-8 that is not too large."""
    try:
        return decode(read_regular(path, LARGEST_FILE_BYTES, follow_links=True), path)
    except NotRegular as error:
        raise _refused(path, f"this is {error.kind}; name a regular file that ends in .rdzv.yaml") from None
    except NotReadable:
        raise _refused(path, _TOO_LARGE) from None
    except OSError as error:
        reason = f"cannot be read: {error.strerror}; check the path and its permissions"
        raise _refused(path, reason) from None
    except ValueError as error:
        raise _refused(path, f"cannot be read: {error}; check the path") from None


def decode(data: bytes, path: Path) -> str:
    """The bytes as text; raises ScenarioError if they are too many or not UTF-8."""
    if len(data) > LARGEST_FILE_BYTES:
        raise _refused(path, _TOO_LARGE)
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = split_lines(data[: error.start].decode("utf-8", "replace"))
        place = f"{printable(str(path))}:{len(before)}:{len(before[-1]) + 1}"
        raise ScenarioError(
            [f"{place}: byte 0x{data[error.start]:02x} is not UTF-8\n  save the file as UTF-8"]
        ) from None


def _refused(path: Path, reason: str) -> ScenarioError:
    return ScenarioError([f"{printable(str(path))}: {reason}"])
