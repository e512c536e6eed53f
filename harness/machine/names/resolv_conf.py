"""A resolv.conf that is pointed at one name server and back while processes read it, by several hands at once.

The C library looks at every look-up whether the file has changed (glibc since 2.26): the next one already goes there.
What held before stays as a comment that says by whom, as in a hosts file that is being changed.
"""

from __future__ import annotations

from pathlib import Path

from harness.machine.names import hosts_file


def point(path: Path, by: str, server: str) -> None:
    """Let look-ups go to this server and to no other, and wait as the C library does if nobody says otherwise.

    That is 5 s for an answer, and then once more.
    """
    mark = hosts_file.mark(by)
    lines = [mark + line if _says_whom(line) else line for line in hosts_file.lines(path)]
    hosts_file.overwrite(path, [*lines, f"nameserver {server} #{hosts_file.word(by)}"])


def point_back(path: Path, by: str) -> None:
    """Take back what this hand did; what others did stays."""
    mark = hosts_file.mark(by)
    lines = [line.replace(mark, "", 1) for line in hosts_file.lines(path)]
    hosts_file.overwrite(path, [line for line in lines if not line.endswith(f" #{hosts_file.word(by)}")])


def _says_whom(line: str) -> bool:
    return hosts_file.unmarked(line).startswith(("nameserver", "options"))
