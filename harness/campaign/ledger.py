"""The ledger of a campaign: one JSON line for each play that has a result, on disk before anybody is told of it.

    {"schema": "rdzv-ledger/v1", "seed": 7}
    {"play": "00c0ffee00c0ffee", ...}

The first line of a play counts, and no other. A driver that is killed leaves at most a last line without its end, which
the next one removes; it goes on with what the ledger does not have.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from harness.archive.files import parse_json
from harness.machine.process import lock
from harness.values.errors import HarnessError, UsageError
from harness.values.refusals import cannot, cannot_begin

FORMAT = "rdzv-ledger/v1"
LONGEST_LINE = 1 << 24
ANOTHER = "give another file to --ledger"

Row = Mapping[str, Any]
"""A line; `play` is its id."""


class Ledger:
    """An open ledger, which no other process can open; a context manager that closes it.

    Raises UsageError for a file that is no ledger, or that another campaign writes; HarnessError for a damaged one.

    Args:
        path: made if it is not there.
        seed: of a new ledger. That of an old one stays.

    Attributes:
        seed: of the campaign.
        dropped: how many bytes of a last line without an end were removed.
    """

    def __init__(self, path: Path, seed: int) -> None:
        self._path = path
        self.seed = seed
        self.dropped = 0
        self._plays: set[str] = set()
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            descriptor = lock.take(path)
        except OSError as error:
            raise cannot_begin(f"write the ledger {path}", error, ANOTHER) from error
        if descriptor is None:
            raise UsageError(f"{path} is the ledger of a campaign that runs now; wait for its end, or {ANOTHER}")
        self._descriptor = descriptor
        self._file = open(descriptor, "rb", closefd=False)
        try:
            self._begin()
        except BaseException:
            os.close(descriptor)
            raise

    def __enter__(self) -> Ledger:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._descriptor)

    def __contains__(self, play: object) -> bool:
        return play in self._plays

    def rows(self) -> Iterator[Row]:
        """The lines, the first of each play, in the order in which they were written; call it before `add`."""
        self._file.seek(0)
        self._file.readline()
        for number, line in enumerate(iter(lambda: self._file.readline(LONGEST_LINE), b""), 2):
            row = self._parsed(line, number)
            play = row.get("play")
            if not isinstance(play, str):
                raise self._damaged(number, "it has no play")
            if play not in self._plays:
                self._plays.add(play)
                yield row

    def add(self, rows: Iterable[Row]) -> list[Row]:
        """Write the rows whose plays have none yet; returns these, which are on disk then. Raises HarnessError."""
        new: dict[str, Row] = {}
        for row in rows:
            if row["play"] not in self._plays:
                new.setdefault(row["play"], row)
        if not new:
            return []
        self._write(new.values())
        self._plays.update(new)
        return list(new.values())

    # -- the file ----------------------------------------------------------------------------------------------

    def _begin(self) -> None:
        """Read the first line, and remove a last one without an end; write the first line of a new file."""
        size = self._whole_lines()
        if size == 0:
            self._write([{"schema": FORMAT, "seed": self.seed}])
            self._sync_folder()
            return
        first = self._parsed(self._file.readline(LONGEST_LINE), 1)
        seed = first.get("seed")
        if first.get("schema") != FORMAT or not isinstance(seed, int):
            raise UsageError(f"{self._path}:1: not a ledger of this format ({FORMAT}); {ANOTHER}")
        self.seed = seed

    def _whole_lines(self) -> int:
        """Cut the file behind its last line break; returns its length."""
        size = end = self._file.seek(0, os.SEEK_END)
        while end > 0:
            begin = max(0, end - LONGEST_LINE)
            self._file.seek(begin)
            found = self._file.read(end - begin).rfind(b"\n")
            if found >= 0:
                end = begin + found + 1
                break
            end = begin
        if end == 0 and size and not self._is_torn_first_line(size):
            raise UsageError(f"{self._path}:1: not a ledger of this format ({FORMAT}); {ANOTHER}")
        self.dropped = size - end
        if self.dropped:
            os.ftruncate(self._descriptor, end)
        self._file.seek(0)
        return end

    def _is_torn_first_line(self, size: int) -> bool:
        """Whether all there is, is how the first line of a ledger begins: another file is never cut."""
        self._file.seek(0)
        begin = json.dumps({"schema": FORMAT}, separators=(",", ":")).encode()[:-1]
        return begin.startswith(self._file.read(size)[: len(begin)])

    def _write(self, rows: Iterable[Row]) -> None:
        """Add lines at the end, all or none."""
        content = memoryview("".join(json.dumps(row, separators=(",", ":")) + "\n" for row in rows).encode())
        at = os.lseek(self._descriptor, 0, os.SEEK_END)
        try:
            while content:
                content = content[os.write(self._descriptor, content) :]
            os.fsync(self._descriptor)
        except OSError as error:
            with suppress(OSError):
                os.ftruncate(self._descriptor, at)
            raise cannot(f"write the ledger {self._path}", error) from error

    def _sync_folder(self) -> None:
        """A new file survives a crash of the machine only if its folder does."""
        folder = os.open(self._path.absolute().parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)

    def _parsed(self, line: bytes, number: int) -> Mapping[str, Any]:
        try:
            row = parse_json(line.decode("utf-8"))
        except (ValueError, RecursionError) as error:
            raise self._damaged(number, f"not JSON ({error})") from error
        if not isinstance(row, dict):
            raise self._damaged(number, "not a mapping")
        return row

    def _damaged(self, number: int, what: str) -> HarnessError:
        return HarnessError(f"{self._path}:{number}: {what}; the ledger is damaged: delete this line, or {ANOTHER}")
