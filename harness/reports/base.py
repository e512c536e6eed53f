"""What a report promises: it gets every cell that starts and ends, and writes when the run is over."""

from __future__ import annotations

import errno
import io
import os
import tempfile
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

from harness.judge.result import Result
from harness.registry import Registry
from harness.reports.page.nights import Nights
from harness.reports.parts.rows import Row, row
from harness.scenario.scenario import Scenario
from harness.values.refusals import cannot, cannot_begin

ANOTHER_FILE = "give a file that you may write"


@dataclass(frozen=True)
class Part:
    """Which part of a larger run a run plays: `--shard`.

    Attributes:
        number: of the part, from 1.
        count: how many parts there are.
        cells: how many cells are played.
        of: how many cells all parts have.
        runs: how often each is played; 0 if that is not known before.
    """

    number: int
    count: int
    cells: int
    of: int
    runs: int


class Report(ABC):
    """One way to show people or programs what a run found."""

    def opened(self, doing: str) -> None:  # noqa: B027 - only a terminal shows it
        """The run begins; until the first cell starts it does this: `importing torch`."""

    def released(self) -> None:  # noqa: B027 - most reports hold nothing
        """The last call, also of a run that ended before `closed`: a terminal is as it was before `opened`."""

    def started(self, scenario: Scenario, attempt: int) -> None:  # noqa: B027 - most reports need no start
        """A cell was sent to be played, for the `attempt`-th time, from 1."""

    def nights(self) -> Nights | None:
        """What earlier runs found, of a report that keeps it; raises UsageError if that cannot be read."""
        return None

    def remember(self, nights: Nights, name: str) -> None:  # noqa: B027 - most reports show one run
        """What earlier runs found, and the name of the file that says so; called before the first result."""

    def covers(self, part: Part) -> None:  # noqa: B027 - only what programs put together needs it
        """The run is a part of a larger one; called before the first result."""

    def finished(self, result: Result) -> None:  # noqa: B027 - most reports wait for the end
        """A cell has been judged; called in the order in which they end."""

    @abstractmethod
    def closed(self, results: Sequence[Result], interrupted: bool) -> None:
        """The run is over; `results` are all that ended, in that order; `interrupted` if it was stopped before.

        Raises HarnessError if the report cannot be written.
        """

    @classmethod
    @abstractmethod
    def to(cls, path: Path | None) -> Report:
        """A report that is written to a file, or to standard output if `path` is None.

        Raises UsageError at once, before anything is played, if no file can be written there.
        """


class FileReport(Report):
    """A report that is written whole when the run is over.

    Args:
        path: the file; None is standard output.
    """

    def __init__(self, path: Path | None) -> None:
        self._path = path

    @classmethod
    def to(cls, path: Path | None) -> Report:
        return cls(None if path is None else check_writable(path))


class RowReport(FileReport):
    """A report that is made of rows: results as plain values.

    Rows may come from several processes, so pytest can write such a report too, from all workers of xdist.
    """

    @classmethod
    def extras(cls, result: Result) -> Mapping[str, Any]:
        """What the row of a result must carry for this report beside its own keys; plain values."""
        return {}

    @abstractmethod
    def text(self, rows: Sequence[Row], interrupted: bool) -> str:
        """The whole report; `parts.rows.row` has the keys of a row."""

    def closed(self, results: Sequence[Result], interrupted: bool) -> None:
        self.closed_with([row(result) for result in results], interrupted)

    def closed_with(self, rows: Sequence[Row], interrupted: bool) -> None:
        """As `closed`, with the rows of the results."""
        write(self._path, self.text(rows, interrupted))


REPORTS: Registry[type[Report]] = Registry("report", "harness.reports", "rdzv_harness.reports", Report)


def check_writable(path: Path) -> Path:
    """The path; raises UsageError if a file cannot be written there. Neither the file nor its folder is made."""
    try:
        if path.exists():
            with open(path, "ab"):
                pass
        elif path.parent.is_dir():  # by a file without a name: another process may write this one at the same moment
            with tempfile.TemporaryFile(dir=path.parent):
                pass
        else:
            _check_folder(path.parent)
    except OSError as error:
        raise cannot_begin(f"write a report to {path}", error, ANOTHER_FILE) from error
    return path


def _check_folder(folder: Path) -> None:
    """Raises OSError unless this folder can be made."""
    above = next(one for one in folder.absolute().parents if os.path.lexists(one))
    if not above.is_dir() or (os.path.lexists(folder) and not folder.is_dir()):
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR))
    if not os.access(above, os.W_OK | os.X_OK):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))


def write(path: Path | None, text: str) -> None:
    """Write a finished report in one go, or print it; raises HarnessError if that fails, and then leaves no part."""
    if path is None:
        print(text, end="")
        return
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8", errors="backslashreplace")
    except OSError as error:
        with suppress(OSError):
            if path.is_file():
                path.unlink()
        raise cannot(f"write the report {path}", error, ANOTHER_FILE) from error


class LateFile(io.TextIOBase):
    """A text file that is made, with its folder, when something is first written to it."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: TextIO | None = None

    def write(self, text: str) -> int:
        if self._file is None:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._file = open(self._path, "w", encoding="utf-8")
        return self._file.write(text)

    def flush(self) -> None:
        if self._file is not None:
            self._file.flush()

    def close(self) -> None:
        file, self._file = self._file, None
        try:
            if file is not None:
                file.close()
        finally:
            super().close()
