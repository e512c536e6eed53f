"""The tutorial is executed, and prints what the page shows."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest
from blocks import MARK, ROOT, Block, blocks
from test_commands import own_path, path_with_torch

__all__ = ["path_with_torch"]

PAGE = ROOT / "docs" / "tutorial.md"
WITHIN_S = 120
REST = "…"
"""On the page: anything up to the end of the line or, alone on a line, any lines."""

PLACEHOLDERS = (
    (re.compile(r"\+?\d+(\.\d+)? (s|ms)\b"), "TIME"),
    (re.compile(r"\b\d{8}-\d{6}-\d{3}\b"), "ID"),
    (re.compile(r"--seed \d+"), "--seed N"),
    (re.compile(r" --python \S+"), ""),
    (re.compile(r"\s+"), " "),
)
"""What differs from one run to the next, and from one machine to another: durations, ids, seeds, paths, columns."""


@dataclass(frozen=True)
class Turn:
    """A block of commands and the block of what it prints; without one it prints nothing."""

    commands: Block
    shown: str

    @property
    def needs_torch(self) -> bool:
        return " with torch" in self.commands.mark

    @property
    def code(self) -> int:
        mark = MARK.fullmatch(self.commands.mark)
        assert mark is not None
        return int(mark["code"] or 0)


def pieces() -> Iterator[Turn | Block]:
    """Turns and files of the page, in order."""
    found = list(blocks(PAGE))
    for block, following in zip(found, [*found[1:], None], strict=True):
        if block.is_shell:
            prints = following is not None and following.language == "text"
            yield Turn(block, following.text if following is not None and prints else "")
        elif block.title:
            yield block


def play(folder: Path, path: str, chosen: Sequence[Turn]) -> Iterator[str]:
    """Run turns in one folder that has the files of the page; what went wrong, turn by turn."""
    for piece in pieces():
        if isinstance(piece, Block):
            (folder / piece.title).write_text(piece.text, encoding="utf-8")
        elif piece in chosen:
            yield from _problems(piece, folder, path)


def _problems(turn: Turn, folder: Path, path: str) -> Iterator[str]:
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", turn.commands.commands],
        cwd=folder,
        env={"PATH": path, "HOME": str(folder), "LANG": "C.UTF-8"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=WITHIN_S,
    )
    printed = done.stdout.replace(f"{folder}/", "")
    if done.returncode != turn.code:
        yield f"{turn.commands.where}: exit code {done.returncode}, the page says {turn.code}\n{printed}"
    missing = first_difference(turn.shown, printed)
    if missing is not None:
        yield f"{turn.commands.where}: the page shows {missing!r}, and this was printed:\n{printed}"


def first_difference(shown: str, printed: str) -> str | None:
    """The first line of the page at which it is not what was printed; None if it is all the same."""
    lines = [_normal(line) for line in printed.splitlines() if line.strip()]
    at, may_skip = 0, False
    for line in filter(str.strip, shown.splitlines()):
        if line.strip() == REST:
            may_skip = True
            continue
        found = next((n for n, there in enumerate(lines[at:], at) if _is_like(line, there)), None)
        if found is None or (found > at and not may_skip):
            return line
        at, may_skip = found + 1, False
    return None if at == len(lines) or may_skip else "no more lines"


def _normal(line: str) -> str:
    for pattern, instead in PLACEHOLDERS:
        line = pattern.sub(instead, line)
    return line.strip()


def _is_like(shown: str, printed: str) -> bool:
    before, rest, _ = _normal(shown).partition(REST)
    return printed.startswith(before) if rest else printed == before


TURNS = [piece for piece in pieces() if isinstance(piece, Turn)]
VACUOUS = next(turn for turn in TURNS if turn.code == 4)


def test_the_turns_without_torch_print_what_the_page_shows(tmp_path: Path) -> None:
    """A new scenario, changes to it, and whether they are valid."""
    chosen = [turn for turn in TURNS if not turn.needs_torch]
    assert len(chosen) >= 4
    assert list(play(tmp_path, own_path(), chosen)) == []


@pytest.mark.needs_torch
def test_the_vacuous_example_is_vacuous(tmp_path: Path, path_with_torch: str) -> None:
    """The page once named a change with which the scenario passed."""
    folder = tmp_path / "page"
    folder.mkdir()
    chosen = [turn for turn in TURNS if not turn.needs_torch or turn == VACUOUS]
    assert list(play(folder, path_with_torch, chosen)) == []


@pytest.mark.nightly
@pytest.mark.needs_torch
def test_the_whole_tutorial_prints_what_the_page_shows(tmp_path: Path, path_with_torch: str) -> None:
    """Every command, from top to bottom."""
    folder = tmp_path / "page"
    folder.mkdir()
    assert list(play(folder, path_with_torch, TURNS)) == []


@pytest.mark.parametrize(
    ("shown", "printed", "first"),
    [
        ("passed  1.08 s  a\n…\n", "passed     0.98 s  a\n\nsubject  x\n", None),
        ("…\n  because  late by 2 ms …\n…\n", "one\ntwo\n  because  late by 7 ms or so\nend\n", None),
        ("run  .rdzv/runs/20261124-054840-909-a\n", "run  .rdzv/runs/20261202-194920-958-a\n", None),
        ("passed 1 s a\n", "passed 1 s a\nmore\n", "no more lines"),
        ("passed 1 s a\n", "failed 1 s a\n", "passed 1 s a"),
        ("two\n", "one\ntwo\n", "two"),
        ("two\none\n", "one\ntwo\n", "two"),
        ("", "anything\n", "no more lines"),
        ("allowed 3\n", "allowed 4\n", "allowed 3"),
    ],
)
def test_a_page_that_shows_something_else_is_noticed(shown: str, printed: str, first: str | None) -> None:
    """Times, ids and what the page leaves out may differ; a word, the order, a line more or less may not."""
    assert first_difference(shown, printed) == first
