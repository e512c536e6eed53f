"""From bytes to a tree of nodes: YAML 1.2 as ruamel.yaml reads it, without what no scenario may contain."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

from harness.loader.tree.nodes import Entry, Listing, Mapping, Node, Position, Scalar
from harness.loader.tree.problems import Problems, split_lines
from harness.values.errors import ScenarioError

LARGEST_FILE_BYTES = 1 << 20
DEEPEST = 40
MOST_OPEN_BRACKETS = 500
MOST_NODES = 50_000

_NULLS = "tag:yaml.org,2002:null"
_INT = "tag:yaml.org,2002:int"
_FLOAT = "tag:yaml.org,2002:float"
_BOOL = "tag:yaml.org,2002:bool"
_PLAIN_TAGS = ("str", "int", "float", "bool", "null", "map", "seq", "timestamp", "merge", "value")


def read_text(path: Path) -> str:
    """The file's text; raises ScenarioError if it cannot be read as UTF-8."""
    try:
        data = path.read_bytes()
    except IsADirectoryError:
        raise ScenarioError([f"{path}: this is a folder; name a file that ends in .rdzv.yaml"]) from None
    except OSError as error:
        raise ScenarioError([f"{path}: cannot be read: {error.strerror}; check the path"]) from None
    except ValueError as error:
        raise ScenarioError([f"{str(path)!r}: cannot be read: {error}; check the path"]) from None
    return decode(data, path)


def decode(data: bytes, path: Path) -> str:
    """The bytes as text; raises ScenarioError if they are too many or not UTF-8."""
    if len(data) > LARGEST_FILE_BYTES:
        raise ScenarioError([f"{path}: {len(data)} bytes are too many for a scenario; write one claim per file"])
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = split_lines(data[: error.start].decode("utf-8", "replace"))
        place = f"{path}:{len(before)}:{len(before[-1]) + 1}"
        raise ScenarioError(
            [f"{place}: byte 0x{data[error.start]:02x} is not UTF-8\n  save the file as UTF-8"]
        ) from None


def parse(text: str, problems: Problems) -> Mapping | None:
    """The file as a tree; None if it cannot be read at all; `problems` then has the reason."""
    root = _compose(text, problems)
    if root is None:
        return None
    builder = _Builder(text, problems)
    node = builder.build(root, 0)
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


class _Builder:
    """Turns composed nodes into ours, and reports what no scenario may contain."""

    def __init__(self, text: str, problems: Problems) -> None:
        self._text = text
        self._problems = problems
        self._left = MOST_NODES
        self.lost = False

    def build(self, node: Any, depth: int) -> Node | None:
        """Our node; None if there is a problem that stops the reading, which is reported; `lost` is then true."""
        built = self._build(node, depth)
        self.lost = self.lost or built is None
        return built

    def _build(self, node: Any, depth: int) -> Node | None:
        self._left -= 1
        if depth > DEEPEST or self._left < 0:
            if depth > DEEPEST or self._left == -1:
                self._problems.add(_place(node), "too much is nested here for a scenario", "write it flatter")
            return None
        if not self._is_plain(node):
            return None
        if node.id == "scalar":
            return self._scalar(node)
        if node.id == "sequence":
            items = [self.build(item, depth + 1) for item in node.value]
            return Listing(tuple(item for item in items if item is not None), _place(node), self._source(node))
        return self._mapping(node, depth)

    def _is_plain(self, node: Any) -> bool:
        tag = str(node.tag)
        if tag.removeprefix("tag:yaml.org,2002:") in _PLAIN_TAGS and (
            node.id != "scalar" or tag[18:] not in ("map", "seq")
        ):
            return True
        self._problems.add(_place(node), f"a scenario has no YAML tags such as {tag!r}", "take the tag out")
        return False

    def _scalar(self, node: Any) -> Scalar | None:
        try:
            value = _value(str(node.tag), node.value)
        except (ValueError, OverflowError):
            self._problems.add(
                _place(node), f"{node.value[:60]!r} is not a number, as its tag says", "put it in quotes"
            )
            return None
        return Scalar(value, node.value, _place(node))

    def _mapping(self, node: Any, depth: int) -> Mapping:
        entries: dict[str | int, Entry] = {}
        for key_node, value_node in node.value:
            key = self._key(key_node)
            value = self.build(value_node, depth + 1)
            if key is None or value is None:
                self.lost = True
                continue
            if key in entries:
                first = entries[key].position
                hint = f"line {first.line} has it already; keep one of the two"
                self._problems.add(_place(key_node), f"the key {key!r} is given twice", hint)
                continue
            entries[key] = Entry(_place(key_node), value)
        return Mapping(entries, _place(node), self._source(node))

    def _key(self, node: Any) -> str | int | None:
        if node.id != "scalar":
            self._problems.add(_place(node), f"a {node.id} cannot be a key", "a key is a word; put it in quotes")
            return None
        scalar = self._scalar(node) if self._is_plain(node) else None
        if scalar is None:
            return None
        if isinstance(scalar.value, str) or (isinstance(scalar.value, int) and not isinstance(scalar.value, bool)):
            return scalar.value
        self._problems.add(scalar.position, f"the key {scalar.text!r} is not text", f'write "{scalar.text}" in quotes')
        return None

    def _source(self, node: Any) -> str:
        """How the node stands in the file, without comments behind it."""
        lines = self._text[node.start_mark.index : node.end_mark.index].rstrip().split("\n")
        while len(lines) > 1 and (not lines[-1].strip() or lines[-1].lstrip().startswith("#")):
            lines.pop()
        indent = " " * node.start_mark.column
        return "\n".join([lines[0], *(line.removeprefix(indent) for line in lines[1:])]).rstrip()


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
