"""Which reports a run writes, and where: the words of `--report KIND=PATH` as values."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.reports.base import REPORTS, Report
from harness.values.errors import UsageError

STDOUT = "-"


@dataclass(frozen=True)
class ReportChoice:
    """A kind of report and its file; None is standard output."""

    kind: str
    path: Path | None


def parse(word: str) -> ReportChoice:
    """`KIND=PATH`; without a path, or with `-`, the report goes to standard output."""
    kind, _, path = word.partition("=")
    return ReportChoice(kind, file_of(path or STDOUT))


def chosen(words: Iterable[str], **short: Path | None) -> tuple[ReportChoice, ...]:
    """The reports of `--report`, and of the short options that have a file."""
    named = [ReportChoice(kind, file_of(path)) for kind, path in short.items() if path is not None]
    return (*map(parse, words), *named)


def file_of(path: str | Path) -> Path | None:
    """The file that is meant; None if `-` means standard output."""
    return None if str(path) == STDOUT else Path(path)


def place(choice: ReportChoice) -> str:
    """A report and where it goes, for messages."""
    return f"the report {choice.kind}={choice.path or STDOUT}"


def make(choices: Sequence[ReportChoice], option: str = "--report") -> list[Report]:
    """The reports, their files checked; raises UsageError with every problem of every choice.

    Nothing is made yet, neither a file nor its folder.
    """
    made: list[Report] = []
    problems = [f"{option}: {problem}" for problem in _conflicts(choices)]
    for choice in choices:
        try:
            made.append(_make(choice))
        except UsageError as error:
            problems.append(f"{option} {choice.kind}: {error}")
    if not problems:
        problems += [f"{option} {problem}" for problem in _remembered(choices, made)]
    if problems:
        raise UsageError("\n".join(problems))
    return made


def _remembered(choices: Sequence[ReportChoice], reports: Sequence[Report]) -> Iterator[str]:
    """Tell all reports what the history says; yields why it cannot be read."""
    for choice, report in zip(choices, reports, strict=True):
        try:
            nights = report.nights()
        except UsageError as error:
            yield f"{choice.kind}: {error}"
            continue
        if nights is not None:
            name = "standard output" if choice.path is None else choice.path.name
            for other in reports:
                other.remember(nights, name)


def _make(choice: ReportChoice) -> Report:
    member = REPORTS[choice.kind]
    if choice.kind == "console" and choice.path is None:
        raise UsageError("it is printed in any case; give a file to keep a copy: console=PATH")
    return member.to(choice.path)


def _conflicts(choices: Iterable[ReportChoice]) -> list[str]:
    """Places that two reports would write to."""
    places = Counter("standard output" if one.path is None else str(one.path.absolute()) for one in choices)
    return [f"{count} reports go to {place}; give each its own file" for place, count in places.items() if count > 1]
