"""The rows of the table of the scenarios, from the files.

python tests/breaking/scenarios_table.py [--write]

prints what `scenarios/README.md` should be, or writes it: the rows of each folder's files under its heading.
The text above the rows is kept; a folder without a heading needs one first.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from pathlib import Path

from harness.loader import load
from harness.scenario.scenario import Known, Scenario

SCENARIOS = Path(__file__).parents[2] / "scenarios"
README = SCENARIOS / "README.md"
SUFFIX = ".rdzv.yaml"


def table(text: str) -> str:
    """The page, with new rows for every folder."""
    return "".join(f"{line}\n" for line in _lines(text))


def _lines(text: str) -> Iterator[str]:
    folder = ""
    for line in text.splitlines():
        if line.startswith("## "):
            folder = line.removeprefix("## ").rstrip("/")
        if line.startswith("| ["):
            continue
        yield line
        if line.startswith("| ---"):
            yield from (_row(path) for path in sorted((SCENARIOS / folder).glob(f"*{SUFFIX}")))


def _row(path: Path) -> str:
    cells = load(path)
    name, file = path.name.removesuffix(SUFFIX), path.relative_to(SCENARIOS)
    columns = (f"[{name}]({file})", cells[0].title, ", ".join(cells[0].refs), _stock(cells))
    return "".join(f"| {column} " if column else "| " for column in columns) + "|"


def _stock(cells: Sequence[Scenario]) -> str:
    """What the stock rendezvous does; entries that several cells share appear once."""
    reasons = dict.fromkeys(_reason(entry) for cell in cells for entry in cell.known if entry.subject == "static")
    return f"**breaks it**: {'; '.join(reasons)}" if reasons else "holds"


def _reason(entry: Known) -> str:
    where = [f"torch {entry.torch}"] if entry.torch else []
    where += [", ".join(str(label) for labels in entry.cells.values() for label in labels)] if entry.cells else []
    return f"({'; '.join(where)}) {entry.because}" if where else entry.because


def put(page: Path, made: str, description: str | None) -> None:
    """Print what a page should be or, with `--write`, write it."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write", action="store_true", help="write the page")
    if parser.parse_args().write:
        page.write_text(made, encoding="utf-8")
    else:
        print(made, end="")


if __name__ == "__main__":
    put(README, table(README.read_text(encoding="utf-8")), __doc__)
