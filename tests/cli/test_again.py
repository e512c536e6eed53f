"""The command line that plays one cell again."""

from __future__ import annotations

from pathlib import Path

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
