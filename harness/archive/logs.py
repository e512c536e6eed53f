"""What a process wrote to its log last."""

from __future__ import annotations

import os
from pathlib import Path

TAIL_BYTES = 8192
MOST_CHARACTERS = 300
"""Of a line that is stored: enough for the message of an exception."""


def last_line(path: Path) -> str:
    """The last line of a log that is not blank, shortened; empty if there is none, or it cannot be read."""
    try:
        with path.open("rb") as log:
            log.seek(max(0, os.fstat(log.fileno()).st_size - TAIL_BYTES))
            text = log.read(TAIL_BYTES).decode("utf-8", errors="replace")
    except OSError:
        return ""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    line = lines[-1] if lines else ""
    return line if len(line) <= MOST_CHARACTERS else f"{line[: MOST_CHARACTERS - 1]}…"
