"""Where in a TOML text a key stands: the parsers of TOML give values, and no places."""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping, Sequence
from typing import Any

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

Keys = tuple[str, ...]
Place = tuple[int, int]
"""Line and column, from 1."""

_AT = re.compile(r" \(at (?:line (\d+), column (\d+)|end of document)\)$")


class NotToml(Exception):
    """A text that is no TOML: why, and where."""

    def __init__(self, why: str, place: Place) -> None:
        super().__init__(why)
        self.place = place


def parse(text: str) -> dict[str, Any]:
    """The value of a TOML text; raises NotToml."""
    try:
        value: dict[str, Any] = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        message = str(error)
        match = _AT.search(message)
        end = (text.count("\n") + 1, 1)
        place = (int(match[1]), int(match[2])) if match and match[1] else end
        raise NotToml(_AT.sub("", message), place) from None
    return value


def find(text: str, wanted: Sequence[Keys]) -> dict[Keys, Place]:
    """The places of keys that the text has.

    The first lines of a TOML text are TOML themselves wherever a statement ends. So a key stands in the statement with
    which the first lines have it. Within the statement it is looked for by its name.
    """
    lines = text.split("\n")
    left, places, begin = list(wanted), {}, 0
    for count in range(1, len(lines) + 1):
        if not left:
            break
        try:
            value = tomllib.loads("\n".join(lines[:count]))
        except tomllib.TOMLDecodeError:
            continue  # within a statement
        for keys in [keys for keys in left if has(value, keys)]:
            left.remove(keys)
            places[keys] = _within(lines[begin:count], keys, begin)
        begin = count
    return places


def has(value: Any, keys: Sequence[str]) -> bool:
    """Whether a table has a key, or what lies under it."""
    for key in keys:
        if not isinstance(value, Mapping) or key not in value:
            return False
        value = value[key]
    return True


def _within(lines: Sequence[str], keys: Keys, begin: int) -> Place:
    name = re.compile(rf"(?<![\w-]){re.escape(keys[-1])}(?![\w-])")
    for number, line in enumerate(lines, begin + 1):
        if match := name.search(line):
            return number, match.start() + 1
    return begin + 1, 1
