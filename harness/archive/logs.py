"""What a process wrote to its log last: the line that says most about its end."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

TAIL_BYTES = 8192
MOST_CHARACTERS = 300
"""Of a line that is stored: enough for the message of an exception."""

_TERMINAL_CODES = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]")
_PREFIX = re.compile(r"\[[a-z]+\d+\]: ?")
"""Before each line of a worker: `[rank0]: ` by torch, `[default0]:` by torchrun."""
_STACK = re.compile(
    r"#\d+ .* from |frame #\d+: |C\+\+ CapturedTraceback:|Exception raised from .*\(most recent call first\):"
    r'|File ".*", line \d+ in |(Current t|T)hread 0x|Extension modules: '
)
"""Stacks below a message: of C++, and of Python's faulthandler."""
_WARNING = re.compile(r"\[[WI]\d{4} ")
"""By torch's C++ code; it comes below an exception where a process ends without cleaning up."""
_TRACEBACK = "Traceback (most recent call last):"
_ROOT_CAUSE = "Root Cause (first observed failure):"
_FIELD = re.compile(r"  (rank|exitcode|traceback) *: (.*)")
_NO_TRACEBACK = "To enable traceback see"


def last_line(path: Path) -> str:
    """The last telling line of a log, shortened; empty if there is none, or it cannot be read.

    Rules, frames and stacks below a message tell nothing. Of a report of torchrun it is its root cause.
    """
    try:
        with path.open("rb") as log:
            log.seek(max(0, os.fstat(log.fileno()).st_size - TAIL_BYTES))
            text = log.read(TAIL_BYTES).decode("utf-8", errors="replace")
    except OSError:
        return ""
    lines = _TERMINAL_CODES.sub("", text).splitlines()
    line = (_root_cause(lines) or _telling(lines)).strip()
    return line if len(line) <= MOST_CHARACTERS else f"{line[: MOST_CHARACTERS - 1]}…"


def _telling(lines: Sequence[str]) -> str:
    """The last line that has a word; an exception, if only warnings and its stack stand below it."""
    speaking = [number for number, line in enumerate(lines) if _has_word(line)]
    telling = [number for number in speaking if not _STACK.match(_bare(lines[number]).lstrip())] or speaking
    if not telling:
        return ""
    calm = [number for number in telling if not _WARNING.match(_bare(lines[number]))]
    exceptions = [number for number, _, _ in _exceptions(lines)]
    return lines[calm[-1] if calm and calm[-1] in exceptions else telling[-1]]


def _root_cause(lines: Sequence[str]) -> str:
    """Which worker failed first and why, of the report with which torchrun ends; empty if the log ends otherwise."""
    begins = [number for number, line in enumerate(lines) if line == _ROOT_CAUSE]
    if not begins:
        return ""
    rest = lines[begins[-1] + 1 :]
    ends = next((number for number, line in enumerate(rest) if line.startswith("====")), len(rest))
    block = rest[:ends]
    fields = {found[1]: found[2].strip() for line in block if (found := _FIELD.match(line))}
    if any(map(_has_word, rest[ends:])) or not fields.get("rank"):
        return ""
    why = fields.get("traceback", "")
    if why.startswith(_TRACEBACK):
        why = next(line for line in reversed(block) if _has_word(line)).strip()
    elif not why or why.startswith(_NO_TRACEBACK):
        status = fields.get("exitcode", "unknown")
        # An exception ends a process with 1; any other status is of a worker that raised nothing.
        raised = _raised(lines[: begins[-1]], fields["rank"].split()[0]) if status.startswith("1 ") else ""
        why = raised or f"exitcode {status}"
    return f"root cause, rank {fields['rank']}: {why}"


def _raised(lines: Sequence[str], rank: str) -> str:
    """What a worker raised, above the report; empty if the log does not show whose exception is whose."""
    workers = [(prefix, text) for _, prefix, text in _exceptions(lines) if "ChildFailedError" not in text]
    own = [text for prefix, text in workers if prefix.strip() == f"[rank{rank}]:"]
    if own:
        return own[-1]
    texts = {text for _, text in workers}
    return texts.pop() if len(texts) == 1 and not any(prefix for prefix, _ in workers) else ""


def _exceptions(lines: Sequence[str]) -> Iterator[tuple[int, str, str]]:
    """The lines behind tracebacks: number, prefix, text. Workers with prefixes may write at one time."""
    reading: set[str] = set()
    for number, line in enumerate(lines):
        text = _bare(line)
        prefix = line[: len(line) - len(text)]
        if text.startswith(_TRACEBACK):
            reading.add(prefix)
        elif prefix in reading and text and not text[0].isspace():
            reading.remove(prefix)
            yield number, prefix, text


def _bare(line: str) -> str:
    """A line without the prefix of its worker."""
    return _PREFIX.sub("", line, count=1) if _PREFIX.match(line) else line


def _has_word(line: str) -> bool:
    """Whether it is more than a rule, a frame or the marks below a line of code."""
    return any(map(str.isalnum, _bare(line)))
