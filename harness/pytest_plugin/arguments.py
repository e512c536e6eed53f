"""The scenarios that ship with the harness as arguments of pytest: `pytest builtin:timeouts`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest

PREFIX = "builtin:"
"""As of `harness.scenario.builtin`, which is imported only where it is needed."""

_NAMES: pytest.StashKey[Mapping[Path, Path]] = pytest.StashKey()


@dataclass(frozen=True)
class Arguments:
    """What pytest collects.

    Attributes:
        words: as pytest understands them.
        names: of the files that were given by built-in names.
    """

    words: Sequence[str]
    names: Mapping[Path, Path] = field(default_factory=dict)


def take(config: pytest.Config) -> None:
    """Let pytest collect what built-in names mean; raises pytest.UsageError with every name that means nothing.

    A worker of xdist gets the arguments as they were typed, so each process does this.
    """
    found = with_files(config.args)
    config.args = list(found.words)
    config.stash[_NAMES] = found.names


def name_of(config: pytest.Config, path: Path) -> Path | None:
    """The built-in name, `builtin:FOLDER/NAME`, of a file that was given by it; None for any other file."""
    return config.stash.get(_NAMES, {}).get(path)


def with_files(arguments: Sequence[str]) -> Arguments:
    """The arguments with files in the places of `builtin:FOLDER/NAME`, `builtin:FOLDER` and `builtin:`.

    `builtin:FOLDER/NAME::ITEM` is the item of that file. Raises pytest.UsageError with every name that means nothing.
    """
    if not any(one.startswith(PREFIX) for one in arguments):
        return Arguments(arguments)
    from harness.loader import builtin
    from harness.values.errors import UsageError

    words: list[str] = []
    names: dict[Path, Path] = {}
    problems: list[str] = []
    for argument in arguments:
        name, separator, item = argument.partition("::")
        try:
            meant = {builtin.file_of(one): one for one in builtin.names(name)} if name.startswith(PREFIX) else {}
        except UsageError as error:
            problems.append(str(error))
            continue
        names.update(meant)
        words.extend([f"{file}{separator}{item}" for file in meant] or [argument])
    if problems:
        raise pytest.UsageError(*problems)
    return Arguments(words, names)
