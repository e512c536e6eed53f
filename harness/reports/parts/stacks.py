"""The Python stacks of ranks that hung, as read from outside, shortened to what a person looks at first."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from harness.machine.regular import NotReadable, read_regular
from harness.reports.parts.safe import LONGEST_LINE, one_line
from harness.values.history import History

# Deep enough for rank code, the rendezvous handler and torch's store; the file has the rest.
FRAMES_SHOWN = 10
THREADS_SHOWN = 4

# It waits for the harness in every rank, and is never the reason for a hang.
OWN_THREAD = '"control"'

_FILE = re.compile(r"stacks/[\w.-]+")
MOST_BYTES = 1 << 20

_FRAME = re.compile(r"\s+(?P<name>.+?) \((?P<file>[^()]+?)(?::(?P<line>\d+))?\)\s*\Z")


@dataclass(frozen=True)
class Stack:
    """The stacks of one process.

    Attributes:
        path: the file that has them whole.
        lines: threads and frames, innermost first; empty if the file cannot be read.
    """

    path: Path
    lines: tuple[str, ...]


def stacks_of(history: History, run_dir: Path | None) -> tuple[Stack, ...]:
    """The stacks that were kept of this run, in the order of the ranks' ends."""
    if run_dir is None:
        return ()
    # A run directory may come from elsewhere: only what lies in its own folder is read.
    named = [name for name in dict.fromkeys(_named(history)) if _FILE.fullmatch(name)]
    paths = [path for name in named for path in _with_those_below(run_dir / name)] or _stored(run_dir)
    return tuple(Stack(path, _read(path)) for path in paths)


def _with_those_below(path: Path) -> list[Path]:
    """The file of a process, and those of the processes that it has started."""
    below = [one for one in _stored(path.parent.parent) if one.name.startswith(f"{path.stem}.pid-")]
    return [path, *below]


def _stored(run_dir: Path) -> list[Path]:
    try:
        return sorted((run_dir / "stacks").glob("*.txt"))
    except (OSError, ValueError):  # no file can have this name
        return []


def _named(history: History) -> Iterator[str]:
    for op in history:
        if op.f == "exit" and isinstance(op.value, dict) and op.value.get("stacks"):
            yield str(op.value["stacks"])


def _read(path: Path) -> tuple[str, ...]:
    try:
        return shortened(read_regular(path, MOST_BYTES).decode("utf-8", errors="replace"))
    except (OSError, ValueError, NotReadable):
        return ()


def shortened(text: str) -> tuple[str, ...]:
    """The threads and their innermost frames; what was left out is counted."""
    threads = _threads(text) or [[line] for line in text.splitlines() if line.startswith("no Python stacks")]
    lines = [line for thread in threads[:THREADS_SHOWN] for line in _shortened_thread(thread)]
    if len(threads) > THREADS_SHOWN:
        lines.append(f"… {len(threads) - THREADS_SHOWN} more threads")
    return tuple(lines)


def _threads(text: str) -> list[list[str]]:
    threads: list[list[str]] = []
    for line in text.splitlines():
        if line.startswith("Thread "):
            threads.append([line.strip()])
        elif threads and line.strip():
            threads[-1].append(line)
    return [thread for thread in threads if OWN_THREAD not in thread[0]] or threads


def _shortened_thread(lines: list[str]) -> list[str]:
    left_out = len(lines) - 1 - FRAMES_SHOWN
    shown = [one_line(lines[0]), *(f"  {one_line(_frame(line))}" for line in lines[1 : FRAMES_SHOWN + 1])]
    return [*shown, f"  … {left_out} more frames"] if left_out > 0 else shown


def _frame(line: str) -> str:
    """`get (steps/store.py:31)`: of a long path the last two parts name the place."""
    frame = _FRAME.match(line[:LONGEST_LINE])
    if frame is None:
        return line.strip()
    place = "/".join(Path(frame["file"]).parts[-2:])
    return f"{frame['name']} ({place}{':' + frame['line'] if frame['line'] else ''})"
