"""Counts the kernel's kills of processes because the memory of a control group was full."""

from __future__ import annotations

import os
from pathlib import Path

_FILES = (("memory", "memory/{}/memory.oom_control"), ("", "{}/memory.events"))
"""By controller (empty for version 2): the file with the count, below the mount point of the control groups."""

_MOUNTED = Path("/sys/fs/cgroup")


class KillCount:
    """The count of a process's control group; its file stays open, so the process may end meanwhile."""

    def __init__(self, pid: int) -> None:
        path = _file_of(pid)
        self._fd = -1 if path is None else os.open(path, os.O_RDONLY | os.O_CLOEXEC)

    def read(self) -> int | None:
        """The count; None where it cannot be read, for example when the group is gone."""
        try:
            lines = os.pread(self._fd, 4096, 0).decode().splitlines()
        except OSError:
            return None
        return next((int(line.split()[1]) for line in lines if line.startswith("oom_kill ")), None)

    def close(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


def _file_of(pid: int) -> Path | None:
    try:
        lines = Path(f"/proc/{pid}/cgroup").read_text().splitlines()
    except OSError:
        return None
    groups = {name: group for _, names, group in (line.split(":", 2) for line in lines) for name in names.split(",")}
    for controller, file in _FILES:
        path = _MOUNTED / file.format(groups.get(controller, "").lstrip("/"))
        if controller in groups and os.access(path, os.R_OK):
            return path
    return None
