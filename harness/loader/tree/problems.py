"""The problems of a file: where each is, what it is, and what to write instead."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from harness.loader.tree.limits import MOST_PROBLEMS
from harness.loader.tree.nodes import Location, Mapping, Position, key_position, shorten, value_position
from harness.values.errors import ScenarioError
from harness.values.printable import printable
from harness.values.suggest import nearest

_WIDTH = 160
_WORDS_SHOWN = 60
"""Of what is known in a place: the most is the keys of a step; labels and names can be thousands."""
_MESSAGE_WIDTH = 400
_HINT_WIDTH = 2000


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
        """`file:line:column: message`, the line, a caret, and the hint, all safe to print."""
        message = printable(shorten(self.message, _MESSAGE_WIDTH))
        place = f"{printable(str(path))}:{self.position.line}:{self.position.column}: {message}"
        shown = [place, *_picture(self.position, lines)]
        if self.hint:
            shown.append(f"  {printable(shorten(self.hint, _HINT_WIDTH))}")
        return "\n".join(shown)


class TooManyProblems(Exception):
    """So many problems are known that reading ends."""


class Problems:
    """Collects the problems of a file; one that several cells have is kept once."""

    def __init__(self) -> None:
        self._found: dict[Problem, list[str]] = {}

    def __len__(self) -> int:
        return len(self._found)

    def add(self, position: Position, message: str, hint: str = "", cell: str = "") -> None:
        """Remember a problem; `cell` names the cell of the matrix that has it.

        Raises TooManyProblems once there are MOST_PROBLEMS.
        """
        self._found.setdefault(Problem(position, message, hint), []).append(cell)
        if len(self._found) >= MOST_PROBLEMS:
            raise TooManyProblems

    def raise_if_any(self, path: Path, text: str, cells: int = 1) -> None:
        """Raise ScenarioError with every problem, in the order of the file; `cells` is the number of all cells."""
        if not self._found:
            return
        lines = split_lines(text)
        shown = [_in_cells(problem, met, cells) for problem, met in self._found.items()]
        rendered = [problem.render(path, lines) for problem in sorted(shown)]
        if len(rendered) >= MOST_PROBLEMS:
            rendered[-1] += f"\n  reading ended here, after {MOST_PROBLEMS} problems; mend these first"
        raise ScenarioError(rendered)


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
    whole = lines[position.line - 1]
    start = max(0, position.column - 1 - _WIDTH // 2) if len(whole) > _WIDTH else 0
    cut = whole[start : start + _WIDTH]
    line = "".join(character if character.isprintable() else " " for character in cut)
    caret = " " * (position.column - 1 - start) + "^"
    return [f"  {line}".rstrip(), f"  {caret}"] if line.strip() else []


def suggestion(word: object, known: Iterable[object], what: str = "known here") -> str:
    """`did you mean 'x'?`, or everything that is known."""
    words = [str(one) for one in known]
    near = nearest(word, words)
    if near and near != str(word):
        return f"did you mean {near!r}?"
    more = f" and {len(words) - _WORDS_SHOWN} more" if len(words) > _WORDS_SHOWN else ""
    return f"{what}: {', '.join(map(shorten, words[:_WORDS_SHOWN]))}{more}" if words else ""
