"""`merge`: the JSON reports of `run --shard` as one, with each play once, and what is missing named."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, NonNegativeInt, PositiveInt, ValidationError

from harness.cli import reporting, streams
from harness.cli.comparing import document_of
from harness.cli.exit_codes import SOME_ERROR, exit_code
from harness.cli.stored_rows import checked
from harness.history.time_to_error import TimeToError
from harness.reports.base import REPORTS, RowReport
from harness.reports.json import FORMAT
from harness.reports.parts import facts
from harness.reports.parts.safe import one_line
from harness.values.errors import UsageError

AGAIN = "write it with `rdzv-harness run PATH... --shard I/N --json FILE`"
SHOWN = 20
"""Shards that are named in one line."""
ALIKE = ("harness", "subject", "torch")
"""What all reports of one run say in their `meta`."""


class _Part(BaseModel):
    """`meta.shard`, as `harness.reports.base.Part` has it."""

    model_config = ConfigDict(extra="allow", strict=True)
    number: PositiveInt
    count: PositiveInt
    cells: NonNegativeInt
    of: NonNegativeInt
    runs: NonNegativeInt


@dataclass
class _Shard:
    """What the reports of one shard have: its rows by play, and how many there should be."""

    expected: int | None = None
    rows: dict[tuple[str, str, int], Mapping[str, Any]] = field(default_factory=dict)


@dataclass(frozen=True)
class _Report:
    path: Path
    meta: Mapping[str, Any]
    part: _Part
    rows: Sequence[Mapping[str, Any]]


def merge(paths: Sequence[Path], choices: Sequence[reporting.ReportChoice], fail_on_skip: bool = False) -> int:
    """Put the reports of all shards together, write reports of the whole, print its summary; returns the exit code.

    A shard without a report, or with fewer results than cells, is an error with its number; the reports are written all
    the same, and say that they are of a run that was interrupted. Of two results of one play the one counts that began
    first.

    Args:
        paths: reports, and folders with reports anywhere below.

    Raises UsageError for any other file, and for reports that are not of one run.
    """
    reports = [_report(path) for path in _files(paths)]
    _check_alike(reports)
    made = _made(choices)
    count, of = reports[0].part.count, reports[0].part.of
    shards, doubled = _shards(reports)
    rows = [row for number in sorted(shards) for row in shards[number].rows.values()]
    problems = [*_missing(shards, count, of), *_incomplete(shards, count)]
    for report in made:
        report.closed_with(rows, interrupted=bool(problems))
    _say(rows, len(shards), count, doubled)
    for problem in problems:
        streams.say(f"error: {problem}")
    return SOME_ERROR if problems else exit_code((row["status"] for row in rows), fail_on_skip)


# -- reading -----------------------------------------------------------------------------------------------------------


def _files(paths: Sequence[Path]) -> list[Path]:
    """The files themselves, and the reports in folders; whatever else lies there is passed over."""
    found = [one for path in paths for one in (_in_folder(path) if path.is_dir() else [path])]
    if not found:
        raise UsageError(f"there is no report in {', '.join(map(str, paths))}; {AGAIN}")
    return list(dict.fromkeys(found))


def _in_folder(folder: Path) -> Iterator[Path]:
    for path in sorted(folder.rglob("*.json")):
        try:
            document = json.loads(path.read_bytes())
        except (OSError, ValueError, RecursionError):
            continue  # if it was a report, its shard is missing, and that is said
        meta = document.get("meta") if isinstance(document, dict) else None
        if isinstance(meta, dict) and meta.get("schema") == FORMAT and "shard" in meta:
            yield path


def _report(path: Path) -> _Report:
    document = document_of(path)
    meta = document["meta"]
    if "shard" not in meta:
        raise UsageError(f"{path} is the report of a whole run, not of one with --shard; {AGAIN}")
    try:
        part = _Part.model_validate(meta["shard"])
    except ValidationError as error:
        wrong = "; ".join(f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in error.errors())
        raise UsageError(f"{path}: meta.shard: {wrong}; {AGAIN}") from error
    if part.number > part.count:
        raise UsageError(f"{path}: meta.shard: there is no shard {part.number}/{part.count}; {AGAIN}")
    rows = [_row(row, f"{path}: results[{at}]") for at, row in enumerate(document["results"])]
    return _Report(path, meta, part, rows)


def _row(row: Mapping[str, Any], place: str) -> dict[str, Any]:
    """A row whose fields all reports can use; raises UsageError for any other."""
    times = row.get("times_to_error", [])
    try:
        for time in times:
            TimeToError.from_json(time)
    except (TypeError, ValueError) as error:
        raise UsageError(f"{place}: times_to_error: {error}; {AGAIN}") from error
    return {**row, **checked(row, place), "times_to_error": times}


def _check_alike(reports: Sequence[_Report]) -> None:
    """Raises UsageError for reports that are not of one run."""
    first = reports[0]
    for report in reports[1:]:
        ours, theirs = (first.part.count, first.part.of), (report.part.count, report.part.of)
        if ours != theirs:
            raise UsageError(
                f"{first.path} is of {ours[1]} cells in {ours[0]} shards, and {report.path} of {theirs[1]} in "
                f"{theirs[0]}; give reports of one run: the same files, the same selection, the same --shard .../N"
            )
    for name in ALIKE:
        seen: dict[str, Path] = {}
        for report in reports:
            value = report.meta.get(name)
            for text in value if isinstance(value, list) else [value]:
                seen.setdefault(str(text), report.path)
        if len(seen) > 1:
            different = ", ".join(f"{text} ({path})" for text, path in seen.items())
            raise UsageError(
                f"reports of different runs: {name} is {different}; `compare` shows such reports side by side"
            )


def _made(choices: Sequence[reporting.ReportChoice]) -> list[RowReport]:
    for choice in choices:
        if not issubclass(REPORTS[choice.kind], RowReport):
            kinds = ", ".join(kind for kind, member in REPORTS.items() if issubclass(member, RowReport))
            raise UsageError(f"--report {choice.kind}: it needs a run that is under way; choose one of {kinds}")
    return [report for report in reporting.make(choices) if isinstance(report, RowReport)]


# -- putting together ----------------------------------------------------------------------------------------------


def _shards(reports: Sequence[_Report]) -> tuple[dict[int, _Shard], int]:
    """The shards by their numbers, and how many results were of a play that has one."""
    shards: dict[int, _Shard] = {}
    doubled = 0
    rows = [(row, report.part) for report in reports for row in report.rows]
    for report in reports:
        shard = shards.setdefault(report.part.number, _Shard())
        if report.part.runs:
            shard.expected = report.part.cells * report.part.runs
    for row, part in sorted(rows, key=lambda one: str(one[0].get("started_at") or "")):
        key = (row["path"], row["id"], row["attempt"])
        if key in shards[part.number].rows:
            doubled += 1
        else:
            shards[part.number].rows[key] = row
    return shards, doubled


def _missing(shards: Mapping[int, _Shard], count: int, of: int) -> Iterator[str]:
    """A line for the shards without a report; one that has no cells needs none."""
    missing = [number for number in range(1, min(count, of) + 1) if number not in shards]
    if missing:
        named = ", ".join(f"{number}/{count}" for number in missing[:SHOWN])
        more = f" and {len(missing) - SHOWN} more" if len(missing) > SHOWN else ""
        yield f"no report of shard {named}{more}; play what is missing with `--shard {missing[0]}/{count}`"


def _incomplete(shards: Mapping[int, _Shard], count: int) -> Iterator[str]:
    for number, shard in sorted(shards.items()):
        if shard.expected is not None and len(shard.rows) < shard.expected:
            yield f"shard {number}/{count} has {len(shard.rows)} of {shard.expected} results; play it again, to its end"
        elif shard.expected is not None and len(shard.rows) > shard.expected:
            yield (
                f"shard {number}/{count} has {len(shard.rows)} results, and should have {shard.expected}: its reports "
                "name different paths; give one of them"
            )


def _say(rows: Sequence[Mapping[str, Any]], shards: int, count: int, doubled: int) -> None:
    for row in rows:
        if row["status"] in facts.RED:
            streams.say(one_line(f"{row['status']}: {row['path']}: {row['id']}: {row['because']}"))
    numbers = ", ".join(f"{number} {short}" for short, number in facts.counts(row["status"] for row in rows).items())
    twice = f"; {doubled} came twice, and the first counts" if doubled else ""
    streams.say(f"{len(rows)} results of {shards} of {count} shards: {numbers}{twice}")
