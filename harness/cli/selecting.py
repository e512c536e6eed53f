"""Which cells are played: all files are read, all their problems reported at once, then tags and names select."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from harness.cli import streams
from harness.cli.expression import parse
from harness.scenario.scenario import Scenario
from harness.values.errors import ScenarioError, UsageError

if TYPE_CHECKING:
    from harness.play.options import RunOptions

ISOLATIONS = ("auto", "private", "host")


def load_all(paths: Sequence[Path], job: bool = False) -> list[Scenario]:
    """All cells of all files, without a path of the built-in scenarios.

    Args:
        job: they are played with the subject `command`: without a `workload` the job is meant, and steps are refused.

    Raises ScenarioError with the problems of every unreadable file.
    """
    from harness.loader import discover, load
    from harness.loader.builtin import ALL

    cells: list[Scenario] = []
    problems: list[str] = []
    for path in discover(paths or [ALL]):
        try:
            cells.extend(load(path, job) if job else load(path))
        except ScenarioError as error:
            problems.extend(error.problems)
    if problems:
        raise ScenarioError(problems)
    return cells


def select(cells: Sequence[Scenario], tags: str | None, names: str | None) -> list[Scenario]:
    """The cells that fit both expressions; raises UsageError for an invalid expression."""
    chosen = list(cells) if tags is None else _by_tags(cells, tags)
    return chosen if names is None else _by_names(chosen, names)


def _by_tags(cells: Sequence[Scenario], text: str) -> list[Scenario]:
    """An expression over tags, or a list with commas: any of them."""
    words = [word.strip() for word in text.split(",")]
    expression = parse(" or ".join(words) if len(words) > 1 else text, "--tags")
    return [cell for cell in cells if expression(lambda word, cell=cell: word in cell.tags)]  # type: ignore[misc]


def _by_names(cells: Sequence[Scenario], text: str) -> list[Scenario]:
    """Exactly the cells of that id if there are any; else those whose folder and id fit the expression."""
    exact = [cell for cell in cells if text in (cell.id, cell.name)]
    if exact:
        return exact
    expression = parse(text, "-k")
    return [cell for cell in cells if expression(lambda word, cell=cell: word.lower() in _searched(cell))]  # type: ignore[misc]


def _searched(cell: Scenario) -> str:
    return f"{cell.path.parent.as_posix()}/{cell.id}".lower()


def interpreter(python: str) -> str:
    """The interpreter's absolute path, links kept (virtual environments are links); a bare name is found on PATH.

    `torch:2.9.1` stays as it is, for `with_torch`; raises UsageError if that is no version.
    """
    if python.startswith("torch:"):
        from harness.machine.torches import torches

        torches.check(python.removeprefix(torches.PREFIX))
        return python
    if os.sep in python:
        return os.path.abspath(python)
    return shutil.which(python) or python


def with_torch(python: str) -> str:
    """The interpreter's path for `torch:2.9.1`, any other as it is; a version that is not installed is installed now.

    Raises NoUv, NoSuchTorch, UvFailed, BrokenTorch.
    """
    from harness.machine.torches import torches

    version = torches.named(python)
    return python if version is None else str(torches.interpreter(version, streams.say))


def check_subject(subject: str, command: Sequence[str]) -> None:
    """Raises UsageError for words behind `--` that no subject takes."""
    if command and subject != "command":
        raise UsageError(f"the words behind `--` are for --subject command, and the subject is {subject}")


def check_programs(cells: Sequence[Scenario], options: RunOptions) -> None:
    """Raises UsageError if a rank of a job has no program: neither in its file nor behind `--`."""
    if options.subject != "command":
        return
    from harness.play.plan import argv_of

    for cell in cells:
        for rank in range(cell.world.size):
            if not argv_of(cell, rank, options.command):
                raise UsageError(
                    f"--subject command needs the program of rank {rank} of {cell.path}: write it behind `--` (run "
                    "PATH --subject command -- ARGV), or as `job: {argv: [...]}` in the file"
                )


def checked(options: RunOptions) -> RunOptions:
    """The options with the path of their interpreter, unless they name a version of torch.

    Raises UsageError for an isolation or a kind of world that does not exist.
    """
    from harness.worlds.base import WORLDS

    if options.isolation not in ISOLATIONS:
        raise UsageError(f"--isolation {options.isolation}: there is {', '.join(ISOLATIONS)}")
    if options.world is not None and options.world not in WORLDS:
        raise UsageError(f"--world {options.world}: {WORLDS.why_not(options.world)}")
    return replace(options, python=interpreter(options.python))
