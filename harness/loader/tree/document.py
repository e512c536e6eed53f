"""From text to a tree of nodes: YAML 1.2 as ruamel.yaml reads it, without what no scenario may contain."""

from __future__ import annotations

import math
import re
import warnings
from dataclasses import dataclass, field
from typing import Any

from harness.loader.tree.limits import (
    DEEPEST,
    LARGEST_NUMBER,
    LONGEST_TEXT,
    MOST_CHARACTERS,
    MOST_NODES,
    MOST_OPEN_BRACKETS,
)
from harness.loader.tree.nodes import Entry, Listing, Mapping, Node, Position, Scalar, shorten
from harness.loader.tree.problems import Problems, split_lines

_NULLS = "tag:yaml.org,2002:null"
_INT = "tag:yaml.org,2002:int"
_FLOAT = "tag:yaml.org,2002:float"
_BOOL = "tag:yaml.org,2002:bool"
_NO_TEXT = re.compile("[\0\ud800-\udfff]")
"""What no program can be given in its arguments or its environment, and what is no character at all."""
_QUOTED = "put it in quotes if it is a text"
_PLAIN_TAGS = ("str", "int", "float", "bool", "null", "map", "seq", "timestamp", "merge", "value")


def parse(text: str, problems: Problems) -> Mapping | None:
    """The file as a tree; None if it cannot be read at all; `problems` then has the reason."""
    root = _compose(text, problems)
    if root is None:
        return None
    if not _Size(problems).fits(root):
        return None
    builder = _Builder(text, problems)
    node = builder.build(root)
    if builder.lost:
        return None
    if isinstance(node, Mapping):
        return node
    if node is not None:
        problems.add(Position(1, 1) if isinstance(node, Scalar) else node.position, "a scenario is a mapping", _BEGIN)
    return None


_BEGIN = "begin with `schema: rdzv-scenario/v1` and `title: ...`; `rdzv-harness new NAME` writes a whole one"


def _compose(text: str, problems: Problems) -> Any:
    """The root node of the one document in the text, or None."""
    import ruamel.yaml
    from ruamel.yaml.error import MarkedYAMLError, YAMLError
    from ruamel.yaml.reader import ReaderError

    if _has_directive(text, problems) or _is_bottomless(text, problems):
        return None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            # Composed, not loaded: nodes have positions, nothing is constructed, and duplicate keys are still there.
            root = ruamel.yaml.YAML(typ="safe", pure=True).compose(text)
    except MarkedYAMLError as error:
        _report_syntax(error, problems)
    except ReaderError as error:
        before = split_lines(text[: error.position])
        place = Position(len(before), len(before[-1]) + 1)
        problems.add(place, f"character {_number(error.character)} is not allowed in YAML", "take it out")
    except YAMLError as error:
        problems.add(Position(1, 1), f"not readable as YAML: {error}", "check the indentation and the brackets")
    except RecursionError:
        problems.add(Position(1, 1), "nested too deeply to be a scenario", "check the brackets")
    except (AssertionError, AttributeError, IndexError, KeyError, TypeError, ValueError, OverflowError) as error:
        # The scanner fails on some malformed text: that is a problem of the file, never a traceback.
        problems.add(Position(1, 1), f"not readable as YAML ({type(error).__name__}: {error})", "check quotes and tags")
    else:
        if root is None:
            problems.add(Position(1, 1), "the file is empty", _BEGIN)
        return root
    return None


def _number(character: object) -> str:
    return f"U+{character if isinstance(character, int) else ord(str(character)[0]):04X}"


def _has_directive(text: str, problems: Problems) -> bool:
    """Whether the file begins with a YAML directive: `%YAML 1.1` would change what `on` and `010` mean."""
    for number, line in enumerate(split_lines(text), 1):
        if line.startswith("%"):
            problems.add(Position(number, 1), "a scenario has no YAML directives", "take the line out; it is YAML 1.2")
            return True
        if line.strip() and not line.lstrip().startswith("#"):
            return False
    return False


def _is_bottomless(text: str, problems: Problems) -> bool:
    """Whether more brackets stand open than any scenario has: the scanner's time grows with their square."""
    depth = 0
    for index, character in enumerate(text):
        if character in "[{":
            depth += 1
        elif character in "]}" and depth:
            depth -= 1
        if depth > MOST_OPEN_BRACKETS:
            before = split_lines(text[:index])
            place = Position(len(before), len(before[-1]) + 1)
            problems.add(place, "too much is nested here for a scenario", "check the brackets")
            return True
    return False


def _report_syntax(error: Any, problems: Problems) -> None:
    mark = error.problem_mark or error.context_mark
    place = Position(1, 1) if mark is None else Position(mark.line + 1, mark.column + 1)
    what = " ".join(str(error.problem or error.context or "it cannot be read").split())
    if "but found another document" in what:
        problems.add(place, "a second document begins here", "one claim, one file: put it into a file of its own")
    elif "'\\t'" in what:
        problems.add(place, "a tab cannot stand here", "indent with spaces")
    elif "undefined alias" in what:
        problems.add(place, what, "put text that begins with `*` in quotes")
    else:
        problems.add(place, f"this is not YAML: {what}", _syntax_hint(what))


def _syntax_hint(what: str) -> str:
    if "mapping values are not allowed" in what or "could not find expected ':'" in what:
        return "put text that contains `: ` in quotes, and check the indentation of this line and the one above"
    if "cannot start any token" in what:
        return "put the text in quotes"
    if "',' or '}'" in what or "',' or ']'" in what:
        return "close the bracket, or put a comma between the entries"
    return "check the indentation, the quotes and the brackets here and in the line above"


@dataclass(frozen=True)
class _Extent:
    """How large a composed node is with all that is in it, aliases written out."""

    nodes: int
    characters: int
    levels: int


class _Size:
    """Measures composed nodes, each once: an alias is the node that it stands for, so a bomb is counted, not built."""

    def __init__(self, problems: Problems) -> None:
        self._problems = problems
        self._known: dict[int, _Extent] = {}
        self._open: set[int] = set()

    def fits(self, root: Any) -> bool:
        """Whether the tree is within the limits; what exceeds one is reported, the innermost node that does."""
        return self._extent(root, 1) is not None

    def _extent(self, node: Any, level: int) -> _Extent | None:
        known = self._known.get(id(node))
        if known is None:
            known = self._measured(node, level)
        if known is None or not self._is_within(node, known, level):
            return None
        self._known[id(node)] = known
        return known

    def _measured(self, node: Any, level: int) -> _Extent | None:
        if node.id == "scalar":
            return _Extent(1, len(node.value), 1)
        if id(node) in self._open:
            self._refused(node, "an alias stands inside what it stands for", "write the value out")
            return None
        if level > DEEPEST:
            self._too_deep(node)
            return None
        self._open.add(id(node))
        nodes, characters, levels = 1, 0, 0
        for below in node.value if node.id == "sequence" else (one for pair in node.value for one in pair):
            extent = self._extent(below, level + 1)
            if extent is None:
                return None
            nodes, characters = nodes + extent.nodes, characters + extent.characters
            levels = max(levels, extent.levels)
            if nodes > MOST_NODES or characters > MOST_CHARACTERS:
                break
        self._open.discard(id(node))
        return _Extent(nodes, characters, levels + 1)

    def _is_within(self, node: Any, extent: _Extent, level: int) -> bool:
        if level - 1 + extent.levels > DEEPEST:
            self._too_deep(node)
        elif node.id == "scalar" and extent.characters > LONGEST_TEXT:
            what = f"this text has {extent.characters} characters"
            self._refused(node, what, f"write at most {LONGEST_TEXT}; a larger one can be made by a step")
        elif extent.nodes > MOST_NODES:
            what = "this has too many keys and values, aliases written out"
            self._refused(node, what, f"write at most {MOST_NODES}; one claim, one file")
        elif extent.characters > MOST_CHARACTERS:
            what = "the texts in this are too long together, aliases written out"
            self._refused(node, what, f"write at most {MOST_CHARACTERS} characters; one claim, one file")
        else:
            return True
        return False

    def _too_deep(self, node: Any) -> None:
        self._refused(node, "too much is nested here for a scenario", f"write it flatter, at most {DEEPEST} levels")

    def _refused(self, node: Any, message: str, hint: str) -> None:
        self._problems.add(_place(node), message, hint)


@dataclass
class _Builder:
    """Turns composed nodes into ours, and reports what no scenario may contain.

    Attributes:
        lost: whether there is a problem that stops the reading, which is reported.
    """

    text: str
    problems: Problems
    lost: bool = False
    _built: dict[int, Node | None] = field(default_factory=dict)

    def build(self, node: Any) -> Node | None:
        """Our node, the same one for each alias; None if there is a problem that stops the reading."""
        if id(node) not in self._built:
            self._built[id(node)] = self._build(node)
        built = self._built[id(node)]
        self.lost = self.lost or built is None
        return built

    def _build(self, node: Any) -> Node | None:
        if not self._is_plain(node):
            return None
        if node.id == "scalar":
            return self._scalar(node)
        if node.id == "sequence":
            items = [self.build(item) for item in node.value]
            return Listing(tuple(item for item in items if item is not None), _place(node), self._source(node))
        return self._mapping(node)

    def _is_plain(self, node: Any) -> bool:
        tag = str(node.tag)
        if tag.removeprefix("tag:yaml.org,2002:") in _PLAIN_TAGS and (
            node.id != "scalar" or tag[18:] not in ("map", "seq")
        ):
            return True
        self.problems.add(_place(node), f"a scenario has no YAML tags such as {shorten(tag)!r}", "take the tag out")
        return False

    def _scalar(self, node: Any) -> Scalar | None:
        forbidden = _NO_TEXT.search(node.value)
        if forbidden is not None:
            what = f"this text has the character {_number(forbidden[0])}, which no text of a scenario may have"
            self.problems.add(_place(node), what, "take it out")
            return None
        try:
            value = _value(str(node.tag), node.value)
        except (ValueError, OverflowError):
            what = f"{shorten(node.value)!r} is not a number, as its tag says"
            self.problems.add(_place(node), what, "put it in quotes")
            return None
        if isinstance(value, float) and not math.isfinite(value):
            self.problems.add(_place(node), f"{shorten(node.value)} is not a finite number", _QUOTED)
            return None
        if isinstance(value, int) and not -LARGEST_NUMBER - 1 <= value <= LARGEST_NUMBER:
            what = f"{shorten(node.value)} is too large a number; at most {LARGEST_NUMBER} may be written"
            self.problems.add(_place(node), what, _QUOTED)
            return None
        return Scalar(value, node.value, _place(node))

    def _mapping(self, node: Any) -> Mapping:
        entries: dict[str | int, Entry] = {}
        for key_node, value_node in node.value:
            key = self._key(key_node)
            value = self.build(value_node)
            if key is None or value is None:
                self.lost = True
                continue
            if key in entries:
                first = entries[key].position
                hint = f"line {first.line} has it already; keep one of the two"
                self.problems.add(_place(key_node), f"the key {_shown(key)} is given twice", hint)
                continue
            entries[key] = Entry(_place(key_node), value)
        return Mapping(entries, _place(node), self._source(node))

    def _key(self, node: Any) -> str | int | None:
        if node.id != "scalar":
            self.problems.add(_place(node), f"a {node.id} cannot be a key", "a key is a word; put it in quotes")
            return None
        scalar = self._scalar(node) if self._is_plain(node) else None
        if scalar is None:
            return None
        if isinstance(scalar.value, str) or (isinstance(scalar.value, int) and not isinstance(scalar.value, bool)):
            return scalar.value
        text = shorten(scalar.text)
        self.problems.add(scalar.position, f"the key {text!r} is not text", f'write "{text}" in quotes')
        return None

    def _source(self, node: Any) -> str:
        """How the node stands in the file, without comments behind it."""
        lines = self.text[node.start_mark.index : node.end_mark.index].rstrip().split("\n")
        while len(lines) > 1 and (not lines[-1].strip() or lines[-1].lstrip().startswith("#")):
            lines.pop()
        indent = " " * node.start_mark.column
        return "\n".join([lines[0], *(line.removeprefix(indent) for line in lines[1:])]).rstrip()


def _shown(key: str | int) -> str:
    return repr(shorten(key)) if isinstance(key, str) else str(key)


def _place(node: Any) -> Position:
    return Position(node.start_mark.line + 1, node.start_mark.column + 1)


def _value(tag: str, text: str) -> Any:
    """A single value as YAML 1.2's core schema reads it; raises ValueError."""
    if tag == _NULLS:
        return None
    if tag == _BOOL:
        if text.lower() not in ("true", "false"):
            raise ValueError(text)
        return text.lower() == "true"
    if tag == _INT:
        return _int(text.replace("_", ""))
    if tag == _FLOAT:
        return float(text.replace("_", "").lower().replace(".inf", "inf").replace(".nan", "nan"))
    return text


def _int(text: str) -> int:
    if len(text) > 400:
        raise ValueError("too long")
    sign, digits = (-1, text[1:]) if text.startswith("-") else (1, text.removeprefix("+"))
    for prefix, base in (("0x", 16), ("0o", 8), ("0b", 2)):
        if digits.lower().startswith(prefix):
            return sign * int(digits[2:], base)
    return sign * int(digits)
