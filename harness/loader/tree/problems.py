"""The problems of a file: where each is, what it is, and what to write instead."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from harness.loader.tree.nodes import Location, Mapping, Position, key_position, value_position
from harness.values.errors import ScenarioError
from harness.values.suggest import nearest

_WIDTH = 160


@dataclass(frozen=True, order=True)
class Problem:
    """One problem.

    Attributes:
        message: one sentence without a full stop.
        hint: what to write instead; may be empty.
    """

    position: Position
    message: str
    hint: str = ""

    def render(self, path: Path, lines: list[str]) -> str:
        """`file:line:column: message`, the line, a caret, and the hint."""
        place = f"{path}:{self.position.line}:{self.position.column}: {self.message}"
        shown = [place, *_picture(self.position, lines)]
        if self.hint:
            shown.append(f"  {self.hint}")
        return "\n".join(shown)


class Problems:
    """Collects the problems of a file; one that several cells have is kept once."""

    def __init__(self) -> None:
        self._found: dict[Problem, list[str]] = {}

    def __len__(self) -> int:
        return len(self._found)

    def add(self, position: Position, message: str, hint: str = "", cell: str = "") -> None:
        """Remember a problem; `cell` names the cell of the matrix that has it."""
        self._found.setdefault(Problem(position, message, hint), []).append(cell)

    def raise_if_any(self, path: Path, text: str, cells: int = 1) -> None:
        """Raise ScenarioError with every problem, in the order of the file; `cells` is the number of all cells."""
        if not self._found:
            return
        lines = split_lines(text)
        shown = [_in_cells(problem, met, cells) for problem, met in self._found.items()]
        raise ScenarioError([problem.render(path, lines) for problem in sorted(shown)])


@dataclass(frozen=True)
class Reporter:
    """Reports problems at locations of one cell's tree."""

    tree: Mapping
    problems: Problems
    cell: str = ""

    def __call__(self, location: Location, message: str, hint: str = "", key: bool = False) -> None:
        """Report a problem of the value at a location; with `key`, of its key, which then has the caret."""
        place = key_position if key else value_position
        self.at(place(self.tree, location), message, hint)

    def at(self, position: Position, message: str, hint: str = "") -> None:
        """Report a problem at a position of the text."""
        self.problems.add(position, message, hint, self.cell)


def _in_cells(problem: Problem, met: list[str], cells: int) -> Problem:
    """The problem; if only some cells have it, the message names one of them."""
    names = [name for name in dict.fromkeys(met) if name]
    if not names or len(names) >= cells:
        return problem
    more = "" if len(names) == 1 else f" and {len(names) - 1} more"
    return replace(problem, message=f"{problem.message} (in cell {names[0]}{more})")


def split_lines(text: str) -> list[str]:
    """The lines as YAML 1.2 counts them: ended by CR LF, CR or LF; byte order marks take no column."""
    return text.replace("\ufeff", "").replace("\r\n", "\n").replace("\r", "\n").split("\n")


def _picture(position: Position, lines: list[str]) -> list[str]:
    """The line and a caret below it, cut to a width that fits a screen."""
    if not 1 <= position.line <= len(lines):
        return []
    line = "".join(character if character.isprintable() else " " for character in lines[position.line - 1])
    start = max(0, position.column - 1 - _WIDTH // 2) if len(line) > _WIDTH else 0
    caret = " " * (position.column - 1 - start) + "^"
    return [f"  {line[start : start + _WIDTH]}".rstrip(), f"  {caret}"] if line.strip() else []


def suggestion(word: object, known: Iterable[object], what: str = "known here") -> str:
    """`did you mean 'x'?`, or everything that is known."""
    words = [str(one) for one in known]
    near = nearest(word, words)
    if near and near != str(word):
        return f"did you mean {near!r}?"
    return f"{what}: {', '.join(words)}" if words else ""
