"""The blocks of code of the project's pages, and what the comment before each says of it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGES = [
    ROOT / name
    for name in (
        "README.md",
        "CONTRIBUTING.md",
        "SECURITY.md",
        "docker/README.md",
        "examples/own_job/README.md",
        "scenarios/README.md",
    )
]
PAGES += sorted((ROOT / "docs").rglob("*.md"))

SHELLS = ("sh", "bash", "shell", "console")
MARK = re.compile(
    r"<!-- (?:not executed: (?P<reason>\S.*)|executed by (?P<test>\S+)"
    r"|executed(?P<torch> with torch)?(?P<night> at night)?(?:, exit code (?P<code>\d+))?) -->"
)
_BLOCK = re.compile(
    r"^(?:(?P<mark><!-- (?:not )?executed[^\n]* -->)\n)?(?P<fence>```+)(?P<language>[\w-]*)"
    r"(?P<title> title=\"[^\"\n]+\")?[^\n]*\n(?P<text>.*?)^(?P=fence)$",
    re.MULTILINE | re.DOTALL,
)


@dataclass(frozen=True)
class Block:
    """A fenced block.

    Attributes:
        line: of its fence, from 1.
        title: the file that it is; empty if it is none.
        mark: the comment directly before it; empty if there is none.
    """

    page: Path
    line: int
    language: str
    title: str
    text: str
    mark: str

    @property
    def is_shell(self) -> bool:
        return self.language in SHELLS

    @property
    def where(self) -> str:
        return f"{self.page.relative_to(ROOT)}:{self.line}"

    @property
    def commands(self) -> str:
        """What a shell gets: the lines behind `$ ` if there are any, else all."""
        prompted = re.findall(r"^\$ (.*)$", self.text, re.MULTILINE)
        return "\n".join(prompted) + "\n" if prompted else self.text


def blocks(page: Path, text: str | None = None) -> Iterator[Block]:
    """Of a page, in order; `text` replaces what the file has."""
    text = page.read_text(encoding="utf-8") if text is None else text
    for match in _BLOCK.finditer(text):
        line = text.count("\n", 0, match.start("fence")) + 1
        title = (match["title"] or "").partition('"')[2].rstrip('"')
        yield Block(page, line, match["language"], title, match["text"], match["mark"] or "")


def problems(block: Block) -> Iterator[str]:
    """What is wrong with the mark of a block: a shell block needs one, and one that can be read."""
    mark = MARK.fullmatch(block.mark)
    if block.is_shell and not block.mark:
        yield f"{block.where}: say `<!-- executed -->` or `<!-- not executed: REASON -->` in the line before the block"
    elif block.mark and not mark:
        yield f"{block.where}: {block.mark} is no mark; see tests/docs/blocks.py"
    elif block.mark and not block.is_shell:
        yield f"{block.where}: a block of {block.language or 'nothing'} is not executed, so it has no mark"
    elif mark and mark["test"] and not (ROOT / mark["test"]).is_file():
        yield f"{block.where}: there is no {mark['test']}"
