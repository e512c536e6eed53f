"""The scenario files that the paths of a command line mean."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from harness.values.errors import UsageError

SUFFIX = ".rdzv.yaml"


def discover(paths: Iterable[Path]) -> list[Path]:
    """The scenario files among these files and in these folders, each once: files as named, folders sorted.

    Folders whose name begins with a dot are left out; run directories are among them. Raises UsageError for a path
    that does not exist, for a file of another name, and if no file is found.
    """
    named = [Path(path) for path in paths]
    found = dict.fromkeys(file for path in named for file in _below(path))
    if not found:
        where = ", ".join(map(str, named)) or "no path"
        raise UsageError(f"no scenario in {where}; a scenario's file name ends in {SUFFIX}")
    return list(found)


def _below(path: Path) -> Iterator[Path]:
    if path.is_dir():
        yield from _in_folder(path)
    elif not path.exists():
        raise UsageError(f"{path} does not exist; name scenario files or folders of them")
    elif not path.name.endswith(SUFFIX):
        raise UsageError(f"{path} is not a scenario by its name; end it in {SUFFIX}")
    else:
        yield path


def _in_folder(folder: Path) -> Iterator[Path]:
    for place, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        yield from (Path(place, name) for name in sorted(files) if name.endswith(SUFFIX))
