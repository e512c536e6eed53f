"""The options of a run, on their way to a controller."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

import pytest

from harness.play.options import RunOptions

ALL = RunOptions(
    subject="command", command=("sh", "-c", "true"), python="/venv/bin/python", toxiproxy="real", isolation="host",
    world="namespaces", jobs=3, seed=0, runs_dir=Path("/runs"), keep=9, require=frozenset({"torch", "proxy"}),
    replays=0,
)  # fmt: skip


@pytest.mark.parametrize("options", [RunOptions(), ALL])
def test_options_arrive_as_they_were_sent(options: RunOptions) -> None:
    """Through JSON, types included."""
    assert RunOptions.from_json(options.to_json()) == options


def test_the_example_has_no_option_at_its_default() -> None:
    """So an option that is lost on the way is noticed."""
    assert all(getattr(ALL, field.name) != getattr(RunOptions(), field.name) for field in fields(RunOptions))
