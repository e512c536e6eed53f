"""The table of claims of `docs/results.md`: how each subject stands to each claim, from the JSON reports of two runs.

rdzv-harness compare static.json static-strict.json | python tests/breaking/claims_table.py

writes what `compare` printed into the page, with links from there. Both runs are of `scenarios`, from the root of the
repository.
"""

from __future__ import annotations

import sys

from scenarios_table import SCENARIOS

PAGE = SCENARIOS.parent / "docs" / "results.md"
BEGIN, END = "<!-- claims: what tests/breaking/claims_table.py writes -->", "<!-- end of claims -->"


def page(text: str, printed: str) -> str:
    """The page, with the table that `compare` printed."""
    before, rest = text.split(BEGIN)
    after = rest.split(END)[1]
    return f"{before}{BEGIN}\n\n{printed.replace('](scenarios/', '](../scenarios/')}\n{END}{after}"


def rows(text: str) -> dict[str, list[str]]:
    """By the file's path below `scenarios/`, the words of each subject."""
    between = text.partition(BEGIN)[2].partition(END)[0]
    lines = [line for line in between.splitlines() if line.startswith("| [")]
    return {line.partition("](../scenarios/")[2].partition(")")[0]: line.strip("| ").split(" | ")[1:] for line in lines}


if __name__ == "__main__":
    PAGE.write_text(page(PAGE.read_text(encoding="utf-8"), sys.stdin.read()), encoding="utf-8")
