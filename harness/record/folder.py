"""A folder with a record: a file for each torch build and subject, `SUBJECT/TORCH.json`."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from harness.machine.whole import whole_file
from harness.record.document import Results, canonical, merged, parsed
from harness.values.errors import UsageError
from harness.values.printable import printable
from harness.values.refusals import cannot

OWN = Path(__file__).with_name("results")
"""The record that ships with the harness; in a checkout a link to `docs/record`."""

SUFFIX = ".json"
HOW = "write it with `rdzv-harness record run`"
_UNSAFE = re.compile(r"[^\w.+-]")


def path_of(folder: Path, torch: str, subject: str) -> Path:
    """Where the results of a torch build and a subject are."""
    return folder / _UNSAFE.sub("_", subject) / f"{_UNSAFE.sub('_', torch)}{SUFFIX}"


def files(path: Path) -> list[Path]:
    """The result files of a folder, or the one that is named; sorted. Raises UsageError if there is none."""
    found = [path] if path.is_file() else sorted(path.rglob(f"*{SUFFIX}"))
    if not found:
        raise UsageError(f"{printable(str(path))}: there is no result file of a track record; {HOW}")
    return found


def load(file: Path) -> Results:
    """The results of one file; raises UsageError if it has none."""
    try:
        return parsed(file.read_text(encoding="utf-8"))
    except (ValueError, OSError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise UsageError(f"{printable(str(file))}: {printable(str(reason))}; {HOW}") from error


def load_all(paths: Iterable[Path]) -> list[Results]:
    """The results of files and folders, one for each torch build and subject: what two have of it is merged.

    Raises UsageError with every file that cannot be read.
    """
    found: dict[tuple[str, str], Results] = {}
    problems = []
    for path in paths:
        for file in files(path):
            try:
                results = load(file)
            except UsageError as error:
                problems.append(str(error))
                continue
            key = (results.subject, results.torch)
            found[key] = merged(found[key], results) if key in found else results
    if problems:
        raise UsageError("\n".join(problems))
    return [found[key] for key in sorted(found)]


def load_or_new(folder: Path, torch: str, subject: str) -> Results:
    """What a folder has of a torch build and a subject, perhaps nothing; raises UsageError if it cannot be read."""
    file = path_of(folder, torch, subject)
    return load(file) if file.exists() else Results(torch=torch, subject=subject)


def save(folder: Path, results: Results) -> Path:
    """Write the file of these results, whole or not at all; raises HarnessError if it cannot be written."""
    file = path_of(folder, results.torch, results.subject)
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise cannot(f"make {file.parent}", error) from error
    with whole_file(file) as partial:
        partial.write_text(canonical(results), encoding="utf-8")
    return file
