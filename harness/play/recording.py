"""The operations of one play as they come in: written down, kept, and folded into its progress."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from harness import clock
from harness.rank.recorder import write_all
from harness.schedule.progress import FoldedProgress, Progress
from harness.values.errors import HarnessError
from harness.values.ops import CONTROLLER, OK, Op, Process
from harness.values.refusals import cannot
from harness.values.stall import LAG, Stall


class Log:
    """Every operation of one play, in the order in which it was recorded.

    Args:
        path: the file of the harness's own operations (`ops/controller.jsonl`).
        progress: takes in each operation; others only read it.

    Raises HarnessError if the file cannot be made.

    Attributes:
        ops: all operations so far.
    """

    def __init__(self, path: Path, progress: FoldedProgress) -> None:
        self.ops: list[Op] = []
        self._path = path
        self._progress = progress
        self._is_whole = True
        try:
            self._fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
        except OSError as error:
            raise cannot(f"write {path}", error) from error

    @property
    def progress(self) -> Progress:
        """What has happened so far."""
        return self._progress

    def record(self, op: Op, *, on_disk: bool = False) -> None:
        """Write an operation down, keep it, and fold it into the progress.

        Raises HarnessError if it cannot be written, once: what a play records while it ends of that is only kept.

        Args:
            on_disk: whether a rank has written it in a file of its own.
        """
        self.ops.append(op)
        self._progress.fold(op)
        if on_disk or not self._is_whole:
            return
        try:
            write_all(self._fd, json.dumps(op.to_json(), separators=(",", ":")).encode() + b"\n")
        except OSError as error:
            self._is_whole = False
            raise cannot(f"write {self._path}", error) from error

    def note(self, f: str, value: Any = None) -> int:
        """Record something that the controller did or saw; returns its time."""
        op = Op(clock.now_ns(), Process(None, CONTROLLER), OK, f, value=value)
        self.record(op)
        return op.time_ns

    def note_stalls(self, stalls: Iterable[Stall]) -> None:
        """Record which parts of the harness stood still, each at the time at which it went on."""
        for stall in stalls:
            process = Process(None, CONTROLLER)
            self.record(Op(stall.until_ns, process, OK, LAG, value=stall.to_json(), lag_ns=stall.lasted_ns))

    def close(self) -> None:
        os.close(self._fd)


class RankFile:
    """The file that one life of a rank writes, read as it grows."""

    def __init__(self, path: Path, rank: int, life: int) -> None:
        self.rank, self.life = rank, life
        self._path = path
        self._fd = os.open(path, os.O_RDONLY | os.O_CREAT | os.O_CLOEXEC, 0o666)
        self._rest = b""

    def read(self) -> Iterator[Op]:
        """The operations that are new; a line still being written waits for the next time.

        Raises HarnessError for a line that was not written to its end before the next began.
        """
        while chunk := os.read(self._fd, 1 << 16):
            self._rest += chunk
        *lines, self._rest = self._rest.split(b"\n")
        for line in lines:
            try:
                op = Op.from_json(json.loads(line))
            except (ValueError, LookupError, TypeError) as error:
                raise HarnessError(f"{self._path} has a line that was cut short; is its disk full?") from error
            yield op

    def close(self) -> None:
        os.close(self._fd)
