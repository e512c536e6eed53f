"""The page of the commands has each command, each exit code and each environment variable."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
import typer
from blocks import ROOT

from harness.cli import exit_codes
from harness.cli.app import app

PAGE = (ROOT / "docs" / "commands.md").read_text(encoding="utf-8")
COMMANDS: Any = typer.main.get_command(app)
OWN = {"RDZV_ISOLATION", "RDZV_REAPER_FD", "RDZV_HARNESS_WORKER_LIFE"}
"""What processes of the harness say to each other."""


def variables() -> Iterator[str]:
    """Environment variables of the harness that its sources name."""
    for path in sorted((ROOT / "harness").rglob("*.py")):
        yield from re.findall(r'"(RDZV_[A-Z_]+)"', path.read_text(encoding="utf-8"))


@pytest.mark.parametrize("name", sorted(COMMANDS.commands))
def test_each_command_is_on_the_page(name: str) -> None:
    """A command that only `--help` names is not found."""
    assert re.search(rf"`(rdzv-harness )?{name}\b", PAGE)


def test_each_exit_code_is_on_the_page() -> None:
    """A CI job is written from it."""
    listed = PAGE.partition("## Exit codes")[2].partition("\n## ")[0]
    codes = [value for value in vars(exit_codes).values() if isinstance(value, int)]
    assert len(codes) >= 8
    assert [code for code in codes if not re.search(rf"\b{code}\b", listed)] == []


def test_each_variable_is_on_the_page() -> None:
    """A user who sets one must know what it does; those by which processes of the harness talk are not for users."""
    found = set(variables())
    assert found >= OWN
    listed = set(re.findall(r"^\| `(RDZV_[A-Z_]+)`", PAGE, re.MULTILINE))
    assert found - OWN == listed
