"""The folder `.rdzv`, where everything goes that the harness stores; no commit takes it up by accident."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

NAME = ".rdzv"
_IGNORED = "# Made by rdzv-harness: runs, findings and logs are no part of the repository.\n*\n"


def make(folder: Path) -> None:
    """Make a folder and those above it, if they are not there; `.rdzv`, once it is made, ignores itself in git.

    Raises OSError if the folder cannot be made. One that is there already is left as it is.
    """
    ours = next((one for one in (folder, *folder.parents) if one.name == NAME), None)
    is_new = ours is not None and not ours.exists()
    folder.mkdir(parents=True, exist_ok=True)
    if ours is not None and is_new:
        with suppress(OSError):  # also where another run was faster
            (ours / ".gitignore").write_text(_IGNORED, encoding="utf-8")
