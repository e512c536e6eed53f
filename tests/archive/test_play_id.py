"""A play has one id, which each of its inputs changes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from everybody_joins import TWO_CELLS as TEXT

from harness.archive import play_id
from harness.loader import load_text

CELLS = load_text(TEXT, Path("here/everybody-joins.rdzv.yaml"))
INPUTS: dict[str, Any] = {
    "scenario": CELLS[0],
    "seed": 7,
    "torch": "2.15.0+cpu",
    "subject": "static",
    "command": ("a", "b"),
    "harness": "0.1.0",
}


def test_the_same_play_has_the_same_id() -> None:
    """In every process and release, and wherever its file lies."""
    moved = load_text(TEXT, Path("elsewhere/another-name.rdzv.yaml"))[0]
    assert play_id(**INPUTS) == play_id(**{**INPUTS, "scenario": moved}) == "c1ba1a22ad467f12"


@pytest.mark.parametrize(
    ("name", "other"),
    [
        ("scenario", CELLS[1]),
        ("scenario", replace(CELLS[0], text=f"{TEXT}# a comment\n")),
        ("seed", 8),
        ("torch", "2.15.0+cu132"),
        ("subject", "static-strict"),
        ("command", ("a b",)),
        ("harness", "0.1.1"),
    ],
)
def test_each_input_changes_the_id(name: str, other: object) -> None:
    """Text, cell, seed, build of torch, subject with its command, and version of the harness."""
    assert play_id(**{**INPUTS, name: other}) != play_id(**INPUTS)
