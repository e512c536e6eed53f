"""The scenario files that the paths of a command line mean."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from harness.loader import builtin
from harness.values.errors import UsageError
from harness.values.printable import printable

SUFFIX = ".rdzv.yaml"


@dataclass(frozen=True)
class Found:
    """What is where some paths lead.

    Attributes:
        files: files as named, those of folders sorted.
        folders: those that were looked through.
        problems: every path that does not exist or cannot be listed, and every file of another name.
    """

    files: tuple[Path, ...]
    folders: tuple[Path, ...]
    problems: tuple[str, ...]


def discover(paths: Iterable[Path]) -> list[Path]:
    """The scenario files among these files and in these folders: files as named, folders sorted.

    A file that is named twice, or reached through links too, is found once, under its first name. Folders whose name
    begins with a dot are left out; run directories are among them. Whatever has the name of a scenario is found, also
    if it is none: reading it says why. Of scenarios that ship with the harness their names are found
    (`builtin:FOLDER/NAME`), which `load` reads.

    Raises UsageError with every path that does not exist or cannot be listed and every file of another name, and if
    no file is found.
    """
    named = [Path(path) for path in paths]
    found = search(named)
    if found.problems:
        raise UsageError("\n".join(found.problems))
    if not found.files:
        where = ", ".join(printable(str(path)) for path in named) or "no path"
        raise UsageError(f"no scenario in {where}; a scenario's file name ends in {SUFFIX}")
    return list(found.files)


def search(paths: Iterable[Path]) -> Found:
    """The same files, and what is wrong with the others."""
    problems: list[str] = []
    folders: list[Path] = []
    found: dict[str, Path] = {}
    for path in paths:
        for file in _below(path, folders, problems):
            place = builtin.file_of(file) if builtin.is_builtin(file) else file
            found.setdefault(os.path.realpath(place), file)
    return Found(tuple(found.values()), tuple(folders), tuple(problems))


def _below(path: Path, folders: list[Path], problems: list[str]) -> Iterator[Path]:
    if builtin.is_builtin(path):
        try:
            yield from builtin.names(path)
        except UsageError as error:
            problems.append(str(error))
        return
    shown = printable(str(path))
    try:
        is_folder = stat.S_ISDIR(os.stat(path).st_mode)
    except (FileNotFoundError, NotADirectoryError):
        if not os.path.islink(path):
            meant = builtin.counterpart(path)
            advice = f"did you mean {meant}?" if meant else "name scenario files or folders of them"
            problems.append(f"{shown} does not exist; {advice}")
            return
        is_folder = False
    except (OSError, ValueError) as error:
        problems.append(f"{shown} cannot be read: {_reason(error)}; check the path and its permissions")
        return
    if path.name.endswith(SUFFIX):
        yield path
    elif is_folder:
        yield from _in_folder(path, folders, problems)
    else:
        problems.append(f"{shown} is not a scenario by its name; end it in {SUFFIX}")


def _in_folder(top: Path, folders: list[Path], problems: list[str]) -> Iterator[Path]:
    """The files below a folder, each folder's own before those of the folders in it; links to folders are not followed.

    It is not recursive: folders may lie as deep as a path can name.
    """
    ahead = [top]
    while ahead:
        folder = ahead.pop()
        try:
            with os.scandir(folder) as entries:
                names = {entry.name: entry.is_dir(follow_symlinks=False) for entry in entries}
        except OSError as error:
            shown = printable(str(folder))
            problems.append(f"{shown} cannot be listed: {_reason(error)}; name other folders, or give permission")
            continue
        folders.append(folder)
        ordered = sorted(names)
        yield from (folder / name for name in ordered if name.endswith(SUFFIX))
        below = [name for name in ordered if names[name] and not name.startswith(".") and not name.endswith(SUFFIX)]
        ahead.extend(folder / name for name in reversed(below))


def _reason(error: OSError | ValueError) -> str:
    return str(getattr(error, "strerror", None) or error)
