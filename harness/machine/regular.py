"""Reading a file that somebody else may have put there: regular files only, of a bounded size, without ever waiting."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import BinaryIO

_FLAGS = os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
_KINDS = (
    (stat.S_ISDIR, "a folder"),
    (stat.S_ISLNK, "a symbolic link"),
    (stat.S_ISFIFO, "a FIFO"),
    (stat.S_ISSOCK, "a socket"),
)


class NotReadable(Exception):
    """The file is not regular or too large; the message says which, without the path."""


class NotRegular(NotReadable):
    """The path is something else than a regular file.

    Attributes:
        kind: what it is, with its article.
    """

    def __init__(self, kind: str) -> None:
        super().__init__(f"it is {kind}, not a regular file")
        self.kind = kind


def read_regular(path: Path, most_bytes: int, *, follow_links: bool = False) -> bytes:
    """The content of a regular file.

    A device or a FIFO, which could wait or never end, is refused, and so is a symbolic link unless links are followed.
    Raises NotReadable for these and for a file of more than `most_bytes`, OSError where the system refuses, ValueError
    for a path that cannot be one.
    """
    with _opened(path, follow_links) as file:
        content = file.read(most_bytes + 1)
    if len(content) > most_bytes:
        raise NotReadable(f"it has more than {most_bytes} bytes")
    return content


def read_end_of_regular(path: Path, most_bytes: int) -> bytes:
    """The last bytes of a regular file, which may be of any size; raises what `read_regular` does."""
    with _opened(path, follow_links=False) as file:
        file.seek(max(0, os.fstat(file.fileno()).st_size - most_bytes))
        return file.read(most_bytes)


def _opened(path: Path, follow_links: bool) -> BinaryIO:
    _check(os.stat(path, follow_symlinks=follow_links).st_mode)
    file = os.fdopen(os.open(path, _FLAGS | (0 if follow_links else os.O_NOFOLLOW)), "rb")
    try:
        _check(os.fstat(file.fileno()).st_mode)  # it may have been replaced between the two looks
    except NotReadable:
        file.close()
        raise
    return file


def _check(mode: int) -> None:
    if not stat.S_ISREG(mode):
        raise NotRegular(next((name for is_kind, name in _KINDS if is_kind(mode)), "a device"))
