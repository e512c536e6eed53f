"""Where the two servers differ on purpose: every such claim is marked, and stands in the table of docs/embedded.md."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

Claim = TypeVar("Claim", bound=Callable[..., None])


def difference(name: str) -> Callable[[Claim], Claim]:
    """Mark a claim that asserts each server's own behaviour; `name` is its row in the table."""
    assert name in documented(), f"docs/embedded.md has no row {name!r}"
    return lambda claim: claim


def documented() -> list[str]:
    """The first column of the table of differences."""
    text = (Path(__file__).parents[3] / "docs" / "embedded.md").read_text("utf-8")
    table = text.partition("| difference |")[2].partition("\n\n")[0]
    return [line.split("|")[1].strip() for line in table.splitlines()[2:]]


def marked() -> list[str]:
    """Every difference that some claim of this folder asserts."""
    sources = Path(__file__).parent.glob("test_*.py")
    return sorted({name for path in sources for name in re.findall(r'^@difference\("(.+)"\)', path.read_text(), re.M)})
