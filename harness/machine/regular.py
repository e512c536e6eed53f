"""Reading a file that somebody else may have put there: regular files only, of a bounded size, without ever waiting."""

from __future__ import annotations

import os
import stat
from pathlib import Path


class NotReadable(Exception):
    """The file is not regular or too large; the message says which, without the path."""


def read_regular(path: Path, most_bytes: int) -> bytes:
    """The content of a regular file.

    A symbolic link is refused, and so is a device or a FIFO, which could wait or never end.
    Raises NotReadable for these and for a file of more than `most_bytes`, OSError where the system refuses.
    """
    kind = os.lstat(path).st_mode
    if not stat.S_ISREG(kind):
        raise NotReadable(f"it is {_named(kind)}, not a regular file")
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(descriptor, "rb") as file:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):  # it was replaced between the two looks
            raise NotReadable("it is not a regular file")
        content = file.read(most_bytes + 1)
    if len(content) > most_bytes:
        raise NotReadable(f"it has more than {most_bytes} bytes")
    return content


def _named(kind: int) -> str:
    kinds = (
        (stat.S_ISDIR, "a folder"),
        (stat.S_ISLNK, "a symbolic link"),
        (stat.S_ISFIFO, "a FIFO"),
        (stat.S_ISSOCK, "a socket"),
    )
    return next((name for is_kind, name in kinds if is_kind(kind)), "a device")
