"""Values put into an HTML file so that no text of theirs can end its element."""

from __future__ import annotations

import base64
import gzip
import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

_ESCAPES = {ord("<"): "\\u003c", ord(">"): "\\u003e", ord("&"): "\\u0026", 0x2028: "\\u2028", 0x2029: "\\u2029"}
"""In JSON these stand inside of strings only, where an escape means the same."""

_PREFIX = "rdzv/"
_SAFE = " !\"$&'()*+,/:;<=>?@[\\]^`{|}~"


def script_json(value: Any) -> str:
    """JSON that may stand in a script element."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).translate(_ESCAPES)


def packed(value: Any) -> str:
    """JSON, compressed, in letters that need no escape; equal values give equal texts."""
    text = json.dumps(value, ensure_ascii=True, separators=(",", ":"))
    return base64.b64encode(gzip.compress(text.encode(), compresslevel=9, mtime=0)).decode("ascii")


def unpacked(text: str) -> Any:
    """The value that was packed; raises ValueError for any other text."""
    try:
        return json.loads(gzip.decompress(base64.b64decode(text, validate=True)))
    except (OSError, EOFError) as error:
        raise ValueError(f"not packed: {error}") from error


def import_map(modules: Mapping[str, str]) -> str:
    """The import map by which a module finds `rdzv/NAME`: a page from a file can load no other file."""
    urls = {f"{_PREFIX}{name}": f"data:text/javascript;charset=utf-8,{_in_url(text)}" for name, text in modules.items()}
    return script_json({"imports": urls})


def _in_url(text: str) -> str:
    """A text in a data URL, of which only what ends or shortens the URL is encoded: line breaks, `#`, `%`."""
    return quote(text, safe=_SAFE)


def without_comments(source: str) -> str:
    """JavaScript or CSS without the lines that are comments, and without indentation: the package has them to read.

    A comment behind code stays, and so does a text of several lines if none of its lines begins like a comment.
    """
    lines: list[str] = []
    is_inside = False
    for line in map(str.strip, source.splitlines()):
        begins = is_inside or line.startswith("/*")
        is_inside = begins and "*/" not in line
        if line and not begins and not line.startswith("//"):
            lines.append(line)
    return "\n".join(lines) + "\n"
