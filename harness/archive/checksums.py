"""The checksums of a run directory: one line for each file that is read back, added just before the file is there."""

from __future__ import annotations

import errno
import hashlib
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from harness.archive.files import ADVICE, Damaged, read_bytes, text_of
from harness.archive.layout import CHECKSUMS, STEADY, STEADY_ECHO

MOST_BYTES = 1 << 20


def add(path: Path, content: bytes) -> None:
    """Add the line of a file to the list of its run directory."""
    root = root_of(path.parent)
    line = f"{_digest(content)}  {path.relative_to(root)}\n"
    descriptor = os.open(root / CHECKSUMS, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
    try:
        size = os.fstat(descriptor).st_size
        # One write: parent and controller add to one list. They never do so at the same time.
        if os.write(descriptor, line.encode()) < len(line):
            os.ftruncate(descriptor, size)
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    finally:
        os.close(descriptor)


def root_of(run_dir: Path) -> Path:
    """The run directory whose list has the files of this one: a steady state's are in the list of its run."""
    return run_dir.parent if run_dir.name in (STEADY, STEADY_ECHO) else run_dir


@dataclass(frozen=True)
class Checksums:
    """The list of one run directory.

    Attributes:
        lines: of each file, relative to the run directory, the number of its last line, and its digest.
    """

    run_dir: Path
    lines: Mapping[str, tuple[int, str]]

    def check(self, path: Path, content: bytes, advice: str = ADVICE) -> None:
        """Raises Damaged unless the content of a file is what was stored."""
        number, digest = self.lines.get(str(path.relative_to(self.run_dir)), (0, ""))
        if not number:
            raise Damaged(path, f"it has no line in {CHECKSUMS}", advice=advice)
        if _digest(content) != digest:
            what = f"its content is not what was stored: it does not fit line {number} of {CHECKSUMS}"
            raise Damaged(path, what, advice=advice)


def read(run_dir: Path, promised: bool) -> Checksums | None:
    """The list of a run directory; None if the harness that stored it made none.

    Args:
        promised: whether `run.json` says that there is a list.

    Raises Damaged for a list that is malformed, or missing although it was promised.
    """
    path = run_dir / CHECKSUMS
    if not os.path.lexists(path):
        if promised:
            raise Damaged(path, "it is missing")
        return None
    lines: dict[str, tuple[int, str]] = {}
    for number, line in enumerate(text_of(path, read_bytes(path, MOST_BYTES)).split("\n")[:-1], 1):
        found = re.fullmatch(r"([0-9a-f]{64})  ([\w./-]{1,100})", line)
        if found is None:
            raise Damaged(path, "not a checksum and a name", number)
        lines[found[2]] = (number, found[1])
    return Checksums(run_dir, lines)


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
