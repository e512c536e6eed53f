"""Writes the operations of a rank to its file, one line each, and rings the controller's doorbell."""

from __future__ import annotations

import json
import os
import struct
import sys
from contextlib import suppress
from typing import Any, List, NamedTuple, NoReturn, Tuple

from harness import clock
from harness.values.ops import ErrorInfo, Op

CANNOT_RECORD = 94
"""The status of a rank that could not write its operations: its end says nothing about the subject."""

_MAX_CAUSES = 16


class Recorder:
    """The file of operations of one life of a rank.

    The kernel has a line before `write` returns, so a crash of the rank loses none. Lines of several threads never mix,
    because each is one appending write. A line that cannot be written ends the process with `CANNOT_RECORD`.
    """

    def __init__(self, path: str, rank: int, life: int, doorbell_fd: int) -> None:
        """`doorbell_fd` is a non-blocking pipe shared by all ranks; negative for none."""
        self._path = path
        try:
            self._fd = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        except OSError as error:
            self._end(error)
        self._doorbell_fd = doorbell_fd
        self._doorbell_record = struct.pack("<HH", rank, life)

    def write(self, op: Op) -> None:
        try:
            write_all(self._fd, (json.dumps(op.to_json(), default=str) + "\n").encode())
        except OSError as error:
            self._end(error)
        if self._doorbell_fd >= 0:
            # A full doorbell has been rung already; a closed one shows on the control pipe.
            with suppress(BlockingIOError, BrokenPipeError):
                os.write(self._doorbell_fd, self._doorbell_record)

    def _end(self, error: OSError) -> NoReturn:
        with suppress(OSError, ValueError):
            print(f"cannot write {self._path}: {error}", file=sys.stderr, flush=True)
        os._exit(CANNOT_RECORD)

    def close_on_exec(self) -> None:
        """Do not pass the files on to a program that replaces this process."""
        for fd in (self._fd, self._doorbell_fd):
            if fd >= 0:
                os.set_inheritable(fd, False)


def write_all(fd: int, data: bytes) -> None:
    """Write everything, also where the kernel takes a part only: before the disk is full. Raises OSError."""
    while data:
        data = data[os.write(fd, data) :]


def error_info(error: BaseException) -> ErrorInfo:
    """An exception as data: its classes up to Exception, its message and its causes."""
    causes: List[str] = []
    seen = {id(error)}
    cause = _cause(error)
    while cause is not None and id(cause) not in seen and len(causes) < _MAX_CAUSES:
        seen.add(id(cause))
        causes.append(_one_line(cause))
        cause = _cause(cause)
    return ErrorInfo(type(error).__name__, _bases(type(error)), _message(error), tuple(causes))


class Usage(NamedTuple):
    """What this process has had of the processors so far.

    Attributes:
        lag_ns: for how long its threads have waited for one.
        cpu_ns: for how long its threads have run, also those that have ended.
    """

    lag_ns: int
    cpu_ns: int

    @classmethod
    def now(cls) -> Usage:
        return cls(lag_ns(), clock.processor_time_ns())


def lag_ns() -> int:
    """Nanoseconds for which the threads of this process have waited for a CPU so far; 0 where it cannot be read.

    A thread that has ended no longer counts, so a difference of two readings may be too small, even negative.
    """
    total = 0
    with suppress(OSError, ValueError, IndexError):
        for thread in os.listdir("/proc/self/task"):
            total += _waited_ns(f"/proc/self/task/{thread}/schedstat")
    return total


def _waited_ns(path: str) -> int:
    try:
        fd = os.open(path, os.O_RDONLY)
    except FileNotFoundError:
        return 0
    try:
        return int(os.read(fd, 128).split()[1])
    finally:
        os.close(fd)


def _cause(error: BaseException) -> Any:
    if error.__cause__ is not None:
        return error.__cause__
    return None if error.__suppress_context__ else error.__context__


def _bases(kind: type) -> Tuple[str, ...]:
    names = [base.__name__ for base in kind.__mro__ if base is not object]
    return tuple(names[: names.index("Exception") + 1] if "Exception" in names else names)


def _message(error: BaseException) -> str:
    try:
        return str(error)
    except Exception as second:
        return f"(its message cannot be read: {type(second).__name__})"


def _one_line(error: BaseException) -> str:
    lines = _message(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__
