"""Which stored runs the words of a command line mean: `latest`, `-2`, a name or how it begins, a path."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.archive import META, VERDICT
from harness.archive.files import MOST_BYTES_OF_TEXT, Damaged, Gone, json_of, read_bytes, text_of
from harness.values.errors import UsageError
from harness.values.json import mapping
from harness.values.printable import printable
from harness.values.suggest import nearest

LATEST = "latest"
RUNS_SHOWN = 20
_PLAY = "`rdzv-harness run PATH` plays some"
_BACK = re.compile(r"latest(?:~([0-9]{1,7}))?")
_STAMP = re.compile(r"^[0-9]{8}-[0-9]{6}-[0-9]{3}-")


def find(word: str | Path, folder: Path) -> Path:
    """The path that is meant: an existing one as it is, else a run in the folder.

    `latest` is the newest run, `latest~1` (or `-2`, see `RunsCommand`) the one before. A name may be cut short, and its
    time left out: then it means the newest run of that scenario. Raises UsageError with what there is.
    """
    if os.path.lexists(word):
        return Path(word)
    word, runs = str(word), names(folder)
    if match := _BACK.fullmatch(word):
        back = int(match[1] or 0) + 1
        if back > len(runs):
            name = LATEST if back == 1 else f"-{back}"
            raise UsageError(f"{name}: {_how_many(runs, folder)}; {_PLAY if not runs else '`show` lists them'}")
        return folder / runs[-back]
    if word in runs:
        return folder / word
    fits = [name for name in runs if name.startswith(word) or without_time(name).startswith(word)] if word else []
    if len({without_time(name) for name in fits}) == 1 or _is_whole(word, fits):
        exact = [name for name in fits if without_time(name) == word]
        return folder / (exact or fits)[-1]
    raise UsageError(f"{word}: {_why_not(word, fits, runs, folder)}")


def names(folder: Path) -> list[str]:
    """The names of the runs in a folder, the oldest first; empty if there is no such folder."""
    try:
        found = [entry.name for entry in os.scandir(folder) if not entry.name.startswith(".")]
    except OSError:
        return []
    return sorted(name for name in found if os.path.lexists(folder / name / META))


def without_time(name: str) -> str:
    """The part of a run's name that is the scenario's id."""
    return _STAMP.sub("", name)


def _is_whole(word: str, fits: Sequence[str]) -> bool:
    return any(without_time(name) == word for name in fits)


def _how_many(runs: Sequence[str], folder: Path) -> str:
    count = f"{len(runs)} run{'s' if len(runs) != 1 else ''}" if runs else "no run"
    return f"there {'are' if len(runs) > 1 else 'is'} {count} in {folder}"


def _why_not(word: str, fits: Sequence[str], runs: Sequence[str], folder: Path) -> str:
    if len(fits) > 1:
        return f"{len(fits)} runs in {folder} begin so, {fits[-1]} and {fits[-2]} among them; write more of the name"
    if not runs:
        return f"there is no such file or folder, and no run in {folder}; {_PLAY}"
    known = [*dict.fromkeys(map(without_time, reversed(runs))), *reversed(runs), LATEST]
    near = nearest(word, known)
    hint = f"did you mean {near}?" if near else f"the newest is {runs[-1]}, and `show` lists them"
    return f"there is no such file or folder, and no such run in {folder}; {hint}"


# -- what exists -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Stored:
    """A run in the list of those that exist: how it is named shortly, its name, and how it ended."""

    short: str
    name: str
    status: str


def newest(folder: Path) -> list[Stored]:
    """The newest runs, the newest last."""
    runs = names(folder)
    shown = runs[-RUNS_SHOWN:]
    return [
        Stored(f"-{len(shown) - place}", name, _status(folder / name / VERDICT)) for place, name in enumerate(shown)
    ]


def lines(folder: Path) -> Iterator[str]:
    """What `show` prints without a run; raises UsageError if there is none."""
    runs = newest(folder)
    if not runs:
        raise UsageError(f"there is no run in {folder}; {_PLAY}, --runs-dir names another folder")
    width = max(len(run.status) for run in runs)
    for run in runs:
        yield printable(f"{run.short:>4}  {run.status:{width}}  {run.name}")
    total = len(names(folder))
    more = f", the newest {len(runs)} of {total}" if total > len(runs) else ""
    yield ""
    yield printable(f"{folder}{more}; `rdzv-harness show latest` shows the last, `show -2` the one before")


def _status(path: Path) -> str:
    """The status of a run's verdict; of one that has none, that it was not judged."""
    try:
        row: Any = mapping(json_of(path, text_of(path, read_bytes(path, MOST_BYTES_OF_TEXT))))
    except (Damaged, Gone):
        return "not judged"
    return str(row.get("status") or "not judged")
