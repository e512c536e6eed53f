"""Text of others in Markdown: shown as it is, whatever it contains."""

from __future__ import annotations

import re
from collections.abc import Sequence

from harness.reports.parts.safe import one_line


def text(words: str) -> str:
    """Text that Markdown shows as it is, on one line."""
    return re.sub(r"([\\`*_\[\]<>|&~$])", r"\\\1", one_line(words))


def table_line(cells: Sequence[str]) -> str:
    """A line of a table, of cells that are Markdown."""
    return f"| {' | '.join(cells)} |"


def fenced(lines: Sequence[str]) -> list[str]:
    """Lines that are shown as they are, each a line; none of them ends the block."""
    longest = max((len(run) for line in lines for run in re.findall("`+", line)), default=0)
    fence = "`" * max(longest + 1, 3)
    return [f"{fence}text", *lines, fence]
