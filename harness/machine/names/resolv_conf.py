"""A resolv.conf that faults point to a name server and back while processes read it; several may change it in turn.

The C library checks at every look-up whether the file has changed (glibc since 2.26), so the next one goes there. The
former lines stay as comments that name the fault, as in a hosts file.
"""

from __future__ import annotations

from pathlib import Path

from harness.machine.names import hosts_file


def point(path: Path, by: str, server: str) -> None:
    """Send look-ups to this server only, with the C library's default timeout: 5 s for an answer, tried twice."""
    mark = hosts_file.mark(by)
    lines = [mark + line if _is_setting(line) else line for line in hosts_file.lines(path)]
    hosts_file.overwrite(path, [*lines, f"nameserver {server} #{hosts_file.word(by)}"])


def point_back(path: Path, by: str) -> None:
    """Undo what this fault changed; what others changed stays."""
    mark = hosts_file.mark(by)
    lines = [line.replace(mark, "", 1) for line in hosts_file.lines(path)]
    hosts_file.overwrite(path, [line for line in lines if not line.endswith(f" #{hosts_file.word(by)}")])


def _is_setting(line: str) -> bool:
    return hosts_file.unmarked(line).startswith(("nameserver", "options"))
