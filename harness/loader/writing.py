"""From keys to the text of a scenario file, laid out as a person writes it: a line for each step, fault and claim."""

from __future__ import annotations

import io
import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.values.errors import ScenarioError

if TYPE_CHECKING:
    from ruamel.yaml import YAML

WIDTH = 120
"""Characters of a line; what is longer is broken between the keys of an entry."""

_PLAIN = re.compile(
    r"[A-Za-z_][A-Za-z0-9_./ *+-]*|[0-9.]+ ?[A-Za-z]+(/s)?( [+-] [0-9a-z]+)*|[0-9]+ \* timeout|[0-9]+-[0-9]+"
)
"""Texts without quotes; the writer still puts some around what would be read as no text, such as `true`."""
_FREE = re.compile(r"[A-Za-z][A-Za-z0-9_./ *+,;'-]*[A-Za-z0-9.]")
"""Texts without quotes beside a key at the top, where commas have no meaning."""
_BLOCKS = ("world", "matrix", "needs")
"""Mappings that are written below their key where they do not fit beside it."""


def written(keys: Mapping[str, Any], path: Path = Path()) -> str:
    """The keys as a YAML file; `path` is for messages.

    Raises ScenarioError if they hold anything but mappings, lists, texts, numbers and flags.
    """
    from ruamel.yaml.error import YAMLError

    writer = _writer()
    target = io.StringIO()
    try:
        writer.dump(_block({key: _section(key, value) for key, value in keys.items()}), target)
    except (YAMLError, RecursionError, TypeError, ValueError) as error:
        hint = "give dicts, lists, text, numbers and flags only"
        raise ScenarioError([f"{path}: these keys cannot be written as YAML: {error}\n  {hint}"]) from None
    return target.getvalue()


def _writer() -> YAML:
    from ruamel.yaml import YAML

    writer = YAML(typ="rt", pure=True)
    writer.indent(mapping=2, sequence=4, offset=2)
    writer.width = WIDTH
    writer.representer.ignore_aliases = lambda *_: True
    return writer


def _section(key: str, value: Any) -> Any:
    """What stands below or beside a key at the top."""
    if isinstance(value, list | tuple) and any(isinstance(one, Mapping) for one in value):
        return _rows(value)
    if key in _BLOCKS and isinstance(value, Mapping) and _length(value) > WIDTH - len(key) - 2:
        return _block({name: _below(one) for name, one in value.items()})
    is_free = isinstance(value, str) and _FREE.fullmatch(value)
    return value if is_free else _flow(value)


def _below(value: Any) -> Any:
    """What stands in a mapping that is written below its key: one that is long is written below its own key too."""
    if isinstance(value, Mapping) and _length(value) > WIDTH - 8:
        return _block({name: _flow(one) for name, one in value.items()})
    return _flow(value)


def _rows(entries: Any) -> Any:
    from ruamel.yaml.comments import CommentedSeq

    rows = CommentedSeq([_row(entry) for entry in entries])
    rows.fa.set_block_style()
    return rows


def _row(entry: Any) -> Any:
    """An entry of a list: a line, or a line for each key if it does not fit into one."""
    if not isinstance(entry, Mapping) or _length(entry) <= WIDTH - 4:
        return _flow(entry)
    is_listed = {key: isinstance(value, list | tuple) and _length(value) > WIDTH - 8 for key, value in entry.items()}
    return _block({key: _rows(value) if is_listed[key] else _flow(value) for key, value in entry.items()})


def _block(entries: Mapping[Any, Any]) -> Any:
    from ruamel.yaml.comments import CommentedMap

    found = CommentedMap((_scalar(key), value) for key, value in entries.items())
    found.fa.set_block_style()
    return found


def _flow(value: Any) -> Any:
    """The value in one line, as far as it fits."""
    from ruamel.yaml.comments import CommentedMap, CommentedSeq

    if isinstance(value, Mapping):
        found: Any = CommentedMap((_scalar(key), _flow(one)) for key, one in value.items())
    elif isinstance(value, list | tuple):
        found = CommentedSeq([_flow(one) for one in value])
    else:
        return _scalar(value)
    found.fa.set_flow_style()
    return found


def _scalar(value: Any) -> Any:
    """Texts that need quotes get double ones, as in the files of the project."""
    from ruamel.yaml.scalarstring import DoubleQuotedScalarString

    if isinstance(value, str) and not _PLAIN.fullmatch(value):
        return DoubleQuotedScalarString(value)
    return value


def _length(value: Any) -> int:
    """About how many characters a value takes in one line."""
    if isinstance(value, Mapping):
        return 2 + sum(_length(key) + 2 + _length(one) + 2 for key, one in value.items())
    if isinstance(value, list | tuple):
        return 2 + sum(_length(one) + 2 for one in value)
    return len(str(value)) + (2 if isinstance(value, str) and not _PLAIN.fullmatch(value) else 0)
