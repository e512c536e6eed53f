"""The names of scenarios that ship with the harness: `builtin:FOLDER/NAME`, in messages and on command lines."""

from __future__ import annotations

from pathlib import PurePath

PREFIX = "builtin:"


def is_builtin(path: PurePath | str) -> bool:
    """Whether this is such a name, not a file; a file whose name begins so is written with its folder."""
    return str(path).startswith(PREFIX)
