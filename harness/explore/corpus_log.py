"""The log of a corpus: a line for each run, appended as a whole, so that a kill at any moment loses at most one."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from harness.archive.files import Damaged, Gone, parse_json, read_bytes, text_of
from harness.explore.draft import LANES
from harness.explore.statistics import Discovery
from harness.machine.whole import whole_file
from harness.values.errors import UsageError
from harness.values.json import Fields
from harness.values.refusals import cannot, cannot_begin
from harness.values.verdict import STATUSES

NAME = "corpus.jsonl"
SCHEMA = "rdzv-corpus/v1"

MOST_BYTES = 8 << 20
"""Of the file, some 20,000 runs of 100 features; a longer one is shortened to counts and entries."""

_MOST_BYTES_READ = 16 * MOST_BYTES
_ID = re.compile(r"[0-9a-f]{12}")
_FLAGS = os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW
ANOTHER_FOLDER = "choose another folder with --corpus"


@dataclass(frozen=True)
class Row:
    """One run.

    Attributes:
        id, lane, seed, workload, parent, cells: of its draft.
        seconds: how long it took.
        size: of the scenario file in bytes.
        status: of its verdict.
        subject, torch: what was tested.
        kept: whether its scenario became an entry.
        new: the features that no line before has named; each gets the next number, from 0.
        old: the numbers of the others.
        counted: False for an entry in a shortened file, whose run is in the summary already.
    """

    id: str
    lane: str
    seed: int
    workload: str
    parent: str
    cells: tuple[str, ...]
    seconds: float
    size: int
    status: str
    subject: str
    torch: str
    kept: bool = False
    new: tuple[str, ...] = ()
    old: tuple[int, ...] = ()
    counted: bool = True

    def to_json(self) -> dict[str, Any]:
        row = asdict(self)
        if self.counted:
            del row["counted"]
        return {"run": row.pop("id"), **row}

    @classmethod
    def from_json(cls, row: Any) -> Row:
        """The row that `to_json` wrote; raises ValueError with the field's name for anything else."""
        fields = Fields(row)
        return cls(
            id=_id(fields.text("run")),
            lane=fields.one_of("lane", LANES),
            seed=fields.whole("seed"),
            workload=fields.text("workload"),
            parent=fields.text("parent"),
            cells=fields.texts("cells"),
            seconds=_seconds(fields.value("seconds")),
            size=fields.whole("size"),
            status=fields.one_of("status", STATUSES),
            subject=fields.text("subject"),
            torch=fields.text("torch"),
            kept=fields.flag("kept"),
            new=fields.texts("new"),
            old=fields.wholes("old"),
            counted=fields.flag("counted", True),
        )


@dataclass(frozen=True)
class Summary:
    """All runs of one subject and torch in a shortened file.

    Attributes:
        runs: how many there were.
        new, old: the features that they showed, as in a row.
        discovery: `Discovery.to_json()`.
    """

    subject: str
    torch: str
    runs: int
    new: tuple[str, ...]
    old: tuple[int, ...]
    discovery: Any

    def to_json(self) -> dict[str, Any]:
        return {"summary": asdict(self)}

    @classmethod
    def from_json(cls, row: Any) -> Summary:
        """The summary that `to_json` wrote; raises ValueError with the field's name for anything else."""
        fields = Fields(row)
        Discovery.from_json(fields.value("discovery"))
        return cls(
            subject=fields.text("subject"),
            torch=fields.text("torch"),
            runs=fields.whole("runs"),
            new=fields.texts("new"),
            old=fields.wholes("old"),
            discovery=fields.value("discovery"),
        )


Line = Row | Summary


def _id(text: str) -> str:
    if not _ID.fullmatch(text):
        raise ValueError(f"run is {text[:40]!r}, not an id of 12 hexadecimal digits")
    return text


def _seconds(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1e9:
        raise ValueError("seconds is not a number from 0 to 1e9")
    return float(value)


class CorpusLog:
    """The file, which this process alone writes.

    A line is written with one call, so what a kill leaves is a whole line or the beginning of one. It is not forced to
    the disk: a machine that loses power may lose more.

    Raises Damaged, which names the line, for a file that is not such a log; UsageError for one of another release, or
    where it cannot be opened.
    """

    def __init__(self, folder: Path) -> None:
        self.path = folder / NAME
        self.notes: list[str] = []
        self._descriptor, self._size, self._full_at = -1, 0, MOST_BYTES
        content = self._content()
        whole, newline, torn = content.rpartition(b"\n")
        if torn:
            self.notes.append(f"{self.path}: the last line was cut short and is dropped")
        self._lines = list(self._read(text_of(self.path, whole + newline)))
        self._open(len(content) - len(torn))

    def _content(self) -> bytes:
        try:
            return read_bytes(self.path, _MOST_BYTES_READ)
        except Gone:
            return b""
        except Damaged as error:
            raise UsageError(f"{error}; or {ANOTHER_FOLDER}") from error

    def _read(self, text: str) -> Iterator[Line]:
        features = 0
        for number, row in enumerate(text.split("\n")[:-1], 1):
            try:
                value = parse_json(row)
                if number == 1:
                    self._check(value)
                    continue
                line = _line(value)
                if max(line.old, default=-1) >= features:
                    raise ValueError("it names a feature that no line above has named")
            except ValueError as error:
                raise self._damaged(f"not a line of a corpus ({error})", number) from error
            features += len(line.new)
            yield line

    def _check(self, value: Any) -> None:
        schema = Fields(value).text("schema")
        if schema != SCHEMA:
            raise UsageError(f"{self.path} is of another release ({schema[:40]!r}, not {SCHEMA}); {ANOTHER_FOLDER}")

    def _damaged(self, what: str, number: int) -> Damaged:
        advice = f"put a copy of it back, or delete {self.path.parent} to begin a new corpus"
        return Damaged(self.path, what, number, advice)

    def _open(self, size: int) -> None:
        try:
            self._descriptor = os.open(self.path, _FLAGS, 0o644)
            os.ftruncate(self._descriptor, size)
        except OSError as error:
            raise cannot_begin(f"write {self.path}", error, ANOTHER_FOLDER) from error
        self._size = size
        if not size:
            self._write(_text({"schema": SCHEMA}))

    @property
    def is_full(self) -> bool:
        """Whether it should be shortened."""
        return self._size > self._full_at

    def taken(self) -> list[Line]:
        """The lines that were read; they are not kept here any longer."""
        lines, self._lines = self._lines, []
        return lines

    def append(self, line: Line) -> None:
        """Add a line; raises HarnessError where the system refuses, and then nothing of it is left."""
        self._write(_text(line.to_json()))

    def _write(self, text: str) -> None:
        content = text.encode("utf-8")
        try:
            written = os.write(self._descriptor, content)
            if written < len(content):
                os.write(self._descriptor, content[written:])
            self._size += len(content)
        except OSError as error:
            os.ftruncate(self._descriptor, self._size)
            raise cannot(f"write {self.path}", error) from error

    def replace(self, lines: Iterable[Line]) -> None:
        """Put a shortened file in place of this one, as a whole or not at all; raises HarnessError."""
        content = "".join(map(_text, [{"schema": SCHEMA}, *(line.to_json() for line in lines)])).encode("utf-8")
        with whole_file(self.path) as partial:
            partial.write_bytes(content)
        os.close(self._descriptor)
        self._open(len(content))
        self._full_at = max(MOST_BYTES, 2 * len(content))

    def close(self) -> None:
        """Write no more; may be called once."""
        os.close(self._descriptor)


def _line(value: Any) -> Line:
    if isinstance(value, dict) and "summary" in value:
        return Summary.from_json(value["summary"])
    return Row.from_json(value)


def _text(row: Any) -> str:
    return json.dumps(row, separators=(",", ":")) + "\n"
