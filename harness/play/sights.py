"""What is seen of a job in a play: lines of logs, files that appear, ports at which somebody listens."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection
from pathlib import Path

from harness import clock
from harness.play.leftovers import listened_at
from harness.scenario.messages import sights_of
from harness.scenario.moment import SeenMoment
from harness.scenario.scenario import Scenario
from harness.schedule.progress import Progress
from harness.values.ops import CONTROLLER, OK, SEEN, Op, Process
from harness.worlds.base import WorldSession

MOST_BYTES = 1 << 20
"""Of one log and look while its process lives: a play has more to do than to read."""

_CHUNK = 1 << 16
_LONGEST_LINE = 1 << 16
"""Bytes of a line without an end that are kept."""


class LogLines:
    """How many lines of a log contain a text, read on from where the last look stopped.

    A line counts as soon as the text is in it, ended or not; a carriage return ends a line too.
    """

    def __init__(self, path: Path, text: str) -> None:
        self.count = 0
        self._path = path
        self._text = text.encode()
        self._offset = 0
        self._open_line = b""
        self._has_counted = False  # the open line

    def read(self, most_bytes: int | None) -> None:
        """Read what was written since; no more than that many bytes, if they are given."""
        try:
            with self._path.open("rb") as log:
                left = os.fstat(log.fileno()).st_size - self._offset
                left = left if most_bytes is None else min(left, most_bytes)
                log.seek(self._offset)
                while left > 0 and (chunk := log.read(min(left, _CHUNK))):
                    left -= len(chunk)
                    self._offset += len(chunk)
                    self._take(chunk)
        except OSError:
            return  # not there yet

    def _take(self, chunk: bytes) -> None:
        *ended, last = (self._open_line + chunk).replace(b"\r", b"\n").split(b"\n")
        for line in ended:
            self.count += self._text in line and not self._has_counted
            self._has_counted = False
        if self._text in last and not self._has_counted:
            self.count += 1
            self._has_counted = True
        # The text may lie across the end of what is kept.
        self._open_line = last if len(last) <= _LONGEST_LINE else last[-len(self._text) :]


class Sights:
    """Everything of a job that one play waits for, looked for until it is seen.

    Args:
        run_dir: where the logs are.
        record: takes an operation for each that was seen.
    """

    def __init__(
        self,
        scenario: Scenario,
        run_dir: Path,
        session: WorldSession,
        progress: Progress,
        record: Callable[[Op], None],
    ) -> None:
        self._size = scenario.world.size
        self._run_dir = run_dir
        self._session = session
        self._progress = progress
        self._record = record
        self._awaited = sights_of(scenario)
        self._shared = bool(self._awaited) and session.describe().get("private_network") is False
        self._logs: dict[tuple[SeenMoment, int, int], LogLines] = {}
        self._before_ns = clock.now_ns()
        files = [one for one in self._awaited if one.kind == "file"]
        self._standing = {one: _identity(self._path(one)) for one in files}

    def look(self) -> None:
        """Record what can be seen now and could not before."""
        if not self._awaited:
            return
        begun_ns = clock.now_ns()
        ports = {int(one.what) for one in self._awaited if one.kind == "port"}
        open_ports = listened_at(self._session, ports, self._shared) if ports else frozenset()
        seen = [one for one in self._awaited if self._is_seen(one, open_ports)]
        self._awaited = tuple(one for one in self._awaited if one not in seen)
        for one in seen:
            value = {**one.to_json(), "before_ns": self._before_ns}
            self._record(Op(clock.now_ns(), Process(None, CONTROLLER), OK, SEEN, value=value))
        self._before_ns = begun_ns

    def _is_seen(self, one: SeenMoment, open_ports: Collection[int]) -> bool:
        if one.kind == "port":
            return int(one.what) in open_ports
        return self._appeared(one) if one.kind == "file" else self._lines(one) >= one.count

    def _appeared(self, one: SeenMoment) -> bool:
        now = _identity(self._path(one))
        if now is None:
            self._standing[one] = None  # a new file may get the number of the old one
        return now is not None and now != self._standing[one]

    def _path(self, one: SeenMoment) -> Path:
        return Path(one.what.replace("{run_dir}", str(self._run_dir.absolute())))

    def _lines(self, one: SeenMoment) -> int:
        """How many lines of all its logs there are by now."""
        total = 0
        for rank in one.ranks or range(self._size):
            state = self._progress.rank(rank)
            for life in range(1, state.life + 1):
                path = self._run_dir / "logs" / f"rank-{rank}.life-{life}.log"
                log = self._logs.setdefault((one, rank, life), LogLines(path, one.what))
                # Of a process that has ended all is read: nothing is decided before its last words are known.
                log.read(None if state.ended or life < state.life else MOST_BYTES)
                total += log.count
        return total


def _identity(path: Path) -> tuple[int, int] | None:
    """Which file is there; None if none is, or it cannot be seen."""
    try:
        found = path.stat()
    except (OSError, ValueError):  # a NUL in the path
        return None
    return found.st_dev, found.st_ino
