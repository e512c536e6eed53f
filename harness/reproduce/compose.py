"""The source of a script: of the pieces in `parts`, those definitions that it uses, and the imports that these need."""

from __future__ import annotations

import ast
import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources

# The order of a script.
PARTS = (
    "log", "rank", "bind", "process", "fault", "kill", "pause", "port", "messages", "link", "link_fault", "toxics",
    "message_faults", "claims", "checks", "play",
)  # fmt: skip

_PACKAGE = "harness.reproduce.parts"
_FOR_TOOLS = re.compile(r"  # (fmt: skip|noqa|type: ignore).*$", re.MULTILINE)
_CONDITION = re.compile(r"  # if (\w+)$")


@dataclass(frozen=True)
class Piece:
    """One definition at the top of a part.

    Attributes:
        uses: the names that it reads, without those of lines that are only for another name.
    """

    name: str
    source: str
    uses: frozenset[str]


def composed(names: Iterable[str]) -> tuple[str, str]:
    """The imports, and the definitions of these names and of all that they use, as two texts.

    A line that ends with `# if NAME` is there if the definition of that name is.
    """
    pieces = {piece.name: piece for part in PARTS for piece in _pieces(part)}
    wanted = reached(names, pieces)
    shown = {name: kept(piece.source, wanted) for name, piece in pieces.items()}
    full = {name: Piece(name, source, _names(ast.parse(source))) for name, source in shown.items()}
    wanted = reached(names, full)
    chosen = [piece for name, piece in full.items() if name in wanted]
    used = frozenset(name for piece in chosen for name in piece.uses)
    return _imports(used | frozenset(names)), "\n\n\n".join(_grouped(chosen))


def kept(source: str, wanted: Collection[str]) -> str:
    """Without the lines that are for a name that is not wanted."""
    lines = [(line, _CONDITION.search(line)) for line in source.splitlines()]
    return "\n".join(_CONDITION.sub("", line) for line, only in lines if only is None or only[1] in wanted)


def reached(names: Iterable[str], pieces: Mapping[str, Piece]) -> set[str]:
    """These names and those that their definitions use, directly or not; names that are no piece's are left out."""
    found: set[str] = set()
    ahead = [name for name in names if name in pieces]
    while ahead:
        name = ahead.pop()
        if name not in found:
            found.add(name)
            ahead.extend(used for used in pieces[name].uses if used in pieces)
    return found


def _grouped(pieces: Sequence[Piece]) -> Iterator[str]:
    """Constants that follow each other stand together."""
    lines: list[str] = []
    for piece in pieces:
        if piece.source.startswith(("def ", "class ", "@")):
            if lines:
                yield "\n".join(lines)
                lines = []
            yield piece.source
        else:
            lines.append(piece.source)
    if lines:
        yield "\n".join(lines)


@cache
def _text(part: str) -> str:
    return resources.files(_PACKAGE).joinpath(f"{part}.py").read_text(encoding="utf-8")


@cache
def _tree(part: str) -> ast.Module:
    return ast.parse(_text(part))


@cache
def _pieces(part: str) -> tuple[Piece, ...]:
    """The definitions of a part, without its imports and its docstring."""
    lines = _text(part).splitlines()
    found: list[Piece] = []
    for node in _tree(part).body:
        for name in _defined(node):
            begin = min([node.lineno, *(one.lineno for one in getattr(node, "decorator_list", ()))]) - 1
            while lines[begin - 1].startswith("#"):
                begin -= 1
            source = _FOR_TOOLS.sub("", "\n".join(lines[begin : node.end_lineno]))
            found.append(Piece(name, source, _names(ast.parse(kept(source, ())))))
    return tuple(found)


def _defined(node: ast.stmt) -> tuple[str, ...]:
    """The name under which a definition is kept: of several that are assigned at once, each with the same source."""
    if isinstance(node, ast.FunctionDef | ast.ClassDef):
        return (node.name,)
    if isinstance(node, ast.Assign):
        return tuple(name.id for target in node.targets for name in ast.walk(target) if isinstance(name, ast.Name))[:1]
    return ()


def _names(node: ast.AST) -> frozenset[str]:
    return frozenset(one.id for one in ast.walk(node) if isinstance(one, ast.Name))


def _imports(used: frozenset[str]) -> str:
    """The imports of the standard library that these names need, sorted."""
    modules: set[str] = set()
    members: dict[str, set[str]] = {}
    for part in PARTS:
        for node in _tree(part).body:
            if isinstance(node, ast.Import):
                modules |= {alias.name for alias in node.names if alias.name.split(".")[0] in used}
            elif isinstance(node, ast.ImportFrom) and not (node.module or "").startswith(("harness", "__future__")):
                names = {alias.name for alias in node.names if alias.name in used}
                members.setdefault(str(node.module), set()).update(names)
    plain = [f"import {name}" for name in sorted(modules)]
    chosen = [f"from {name} import {', '.join(sorted(ones))}" for name, ones in sorted(members.items()) if ones]
    return "\n".join([*plain, *chosen])
