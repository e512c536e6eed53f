"""What `run --watch` looks at: the scenario files below its paths, and the files that the words of jobs name."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Generic, TypeVar

from harness.history.wording import and_n_more

MOST_NAMES = 5

Stamp = tuple[int, ...]
"""Another one after each time that a file is saved; empty for a file that cannot be looked at."""

Name = TypeVar("Name", Path, str)


@dataclass(frozen=True)
class Seen:
    """What is there at one time.

    Attributes:
        scenarios: scenario files, in the order in which they are played.
        named: those of the words that are files.
        folders: where a change may concern any of them.
    """

    scenarios: Mapping[Path, Stamp] = field(default_factory=dict)
    named: Mapping[str, Stamp] = field(default_factory=dict)
    folders: frozenset[Path] = frozenset()


@dataclass(frozen=True)
class Difference(Generic[Name]):
    """Which files are other ones than before: saved, new and gone."""

    saved: tuple[Name, ...] = ()
    new: tuple[Name, ...] = ()
    gone: tuple[Name, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.saved or self.new or self.gone)


def difference(before: Mapping[Name, Stamp], now: Mapping[Name, Stamp]) -> Difference[Name]:
    """What has changed between two looks."""
    return Difference(
        saved=tuple(name for name, stamp in now.items() if name in before and before[name] != stamp),
        new=tuple(name for name in now if name not in before),
        gone=tuple(name for name in before if name not in now),
    )


def look(paths: Collection[Path], words: Collection[str], left_out: Path) -> Seen:
    """What is there now; paths that are gone may come back, so the folder that would have them is among the folders.

    Args:
        words: of the programs of jobs.
        left_out: a folder in which nothing counts: the run directories, which have scenario files too.
    """
    from harness.loader.finding import search

    found = search(paths)
    own = os.path.realpath(left_out)
    files = [file for file in found.files if not _is_below(file, own)]
    folders = [
        *found.folders,
        *(_nearest(path.parent) for path in paths),
        *(Path(os.path.realpath(file)).parent for file in files if file.is_symlink()),
        *(Path(word).parent for word in words),
    ]
    return Seen(
        {file: _stamp(file) for file in files},
        {word: _stamp(word) for word in words if os.path.isfile(word)},
        frozenset(
            folder
            for folder in folders
            if os.path.isdir(folder) and os.access(folder, os.R_OK) and not _is_below(folder, own)
        ),
    )


def _nearest(folder: Path) -> Path:
    """The folder, or the closest one above it that is there."""
    return next((one for one in (folder, *folder.absolute().parents) if one.is_dir()), folder)


def _is_below(path: Path, folder: str) -> bool:
    real = os.path.realpath(path)
    return real == folder or real.startswith(folder + os.sep)


def _stamp(path: Path | str) -> Stamp:
    try:
        found = os.stat(path)
    except OSError:
        return ()
    return found.st_mtime_ns, found.st_size, found.st_dev, found.st_ino


def names(found: Difference[Path], named: Difference[str]) -> Iterator[str]:
    """What has changed, for people: a kind of change with its files at a time."""
    for kind, files in (
        ("changed", (*found.saved, *named.saved)),
        ("new", (*found.new, *named.new)),
        ("gone", (*found.gone, *named.gone)),
    ):
        if files:
            yield f"{kind}: {', '.join(map(str, files[:MOST_NAMES]))}{and_n_more(len(files) - MOST_NAMES + 1)}"
