"""Values put into an HTML file so that no text of theirs can end its element."""

from __future__ import annotations

import base64
import gzip
import json
from typing import Any

_ESCAPES = {ord("<"): "\\u003c", ord(">"): "\\u003e", ord("&"): "\\u0026", 0x2028: "\\u2028", 0x2029: "\\u2029"}
"""In JSON these stand inside of strings only, where an escape means the same."""


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
