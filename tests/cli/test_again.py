"""The command line that plays one cell again."""

from __future__ import annotations

import shlex
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest

from harness.cli import again, main, running
from harness.cli.again import command_line
from harness.play.options import RunOptions
from harness.scenario.scenario import Scenario, World

CELL = Scenario(Path("scenarios/late.rdzv.yaml"), "A late rank joins", World(2, 10**9), steps=(), expect=())


def test_what_is_as_usual_is_left_out() -> None:
    """The file and the seed are enough."""
    assert command_line(RunOptions(), CELL, 7) == "rdzv-harness run scenarios/late.rdzv.yaml --seed 7"


def test_everything_that_changes_a_play_is_there() -> None:
    """A shell must read neither the brackets of a cell's id nor the words of a command."""
    cell = Scenario(CELL.path, CELL.title, CELL.world, steps=(), expect=(), cell=(("world.timeout", "3s"),))
    options = RunOptions(
        subject="command", command=("sh", "-c", "echo a b"), python="/venv/bin/python", toxiproxy="real",
        isolation="host", world="namespaces", jobs=3, keep=9,
    )  # fmt: skip
    assert command_line(options, cell, 0) == (
        "rdzv-harness run scenarios/late.rdzv.yaml -k 'late[timeout=3s]' --subject command --python /venv/bin/python "
        "--toxiproxy real --isolation host --world namespaces --seed 0 -- sh -c 'echo a b'"
    )


OTHERS: dict[str, Any] = {
    "subject": "static-strict",
    "command": ("sh", "-c", "echo a b"),
    "python": "/venv/bin/python",
    "toxiproxy": "embedded",
    "isolation": "host",
    "world": "namespaces",
    "jobs": 3,
    "seed": 5,
    "runs_dir": Path("elsewhere"),
    "keep": 9,
    "require": frozenset({"torch", "world"}),
    "replays": 0,
}
"""Of each field of `RunOptions` a value that is not its default."""


@pytest.mark.parametrize("name", [field.name for field in fields(RunOptions)])
def test_no_option_is_lost(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever field of the options is changed: the line that is printed gives the same options to `run` again.

    A new field fails here until it is an option of `run`, or left out for a reason that is written down.
    """
    got: list[RunOptions] = []
    monkeypatch.setattr(running, "run", lambda request, options: got.append(options) or 0)
    played = replace(RunOptions(seed=7), **{name: OTHERS[name]})
    if name == "command":
        played = replace(played, subject="command")
    assert getattr(played, name) != getattr(RunOptions(), name)
    assert main(shlex.split(command_line(played, CELL, played.seed or 0))[1:]) == 0
    lost = {field.name for field in fields(RunOptions) if getattr(got[0], field.name) != getattr(played, field.name)}
    assert lost == ({name} & again.LEFT_OUT.keys()) - {"command", "seed"}


def test_a_line_reads_no_file_with_defaults_if_the_run_had_one_or_declined_it() -> None:
    """Else the file's values would come on top of those that were played."""
    line = command_line(RunOptions(isolation="host"), CELL, 7, alone=True)
    assert line == "rdzv-harness --no-config run scenarios/late.rdzv.yaml --isolation host --seed 7"
    assert again.line_of_file(RunOptions(), CELL.path, alone=True) == f"rdzv-harness --no-config run {CELL.path}"
