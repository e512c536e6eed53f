"""The command line that plays one cell again."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

from harness.play.options import RunOptions
from harness.scenario.scenario import Scenario

DEFAULTS = RunOptions()

LEFT_OUT = {
    "command": "its words stand behind `--`",
    "jobs": "one cell needs one world",
    "keep": "it says how many run directories stay",
    "runs_dir": "it says where run directories go",
    "seed": "the seed of the play stands there in any case",
}
"""Fields of `RunOptions` that are no option of the command line printed, and why. All others are."""


def command_line(options: RunOptions, scenario: Scenario, seed: int, alone: bool = False) -> str:
    """`rdzv-harness run ...` for just this cell, as it was played; options at their defaults are left out.

    The option of a field of `RunOptions` has its name: each is there that is not in `LEFT_OUT`.

    Args:
        alone: whether it is to read no file with defaults, which would change what it says.
    """
    chosen = ["-k", scenario.id] if scenario.cell else []
    words = [*_program(alone), "run", str(scenario.path), *chosen, *_played_as(options)]
    return shlex.join([*words, "--seed", str(seed), *(["--", *options.command] if options.command else [])])


def line_of_file(options: RunOptions, path: Path, alone: bool = False) -> str:
    """`rdzv-harness run ...` for a file that was made of what was played with these options; the seed is drawn."""
    return shlex.join([*_program(alone), "run", str(path), *_played_as(options)])


def _program(alone: bool) -> list[str]:
    return ["rdzv-harness", "--no-config"] if alone else ["rdzv-harness"]


def _played_as(options: RunOptions) -> Iterator[str]:
    from harness.machine.torches import torches

    options = replace(options, python=torches.called(options.python))
    for field in fields(RunOptions):
        value = getattr(options, field.name)
        if field.name not in LEFT_OUT and value != getattr(DEFAULTS, field.name):
            yield from _words(f"--{field.name.replace('_', '-')}", value)


def _words(option: str, value: Any) -> Iterator[str]:
    """An option with its value: a flag alone, a set as the option for each of its members."""
    if value is None or value is False:
        return
    if value is True:
        yield option
    elif isinstance(value, frozenset | tuple):
        for one in sorted(value):
            yield from (option, str(one))
    else:
        yield from (option, str(value))
