"""Values read from JSON, taken for what they should be: what is malformed reads as absent."""

from __future__ import annotations

from typing import Any, Mapping, Optional


def mapping(value: Any) -> Mapping[str, Any]:
    """The value if it is a mapping, else an empty one."""
    return value if isinstance(value, Mapping) else {}


def whole(value: Any) -> Optional[int]:
    """The value if it is an integer, else None; True and False do not count as integers."""
    return value if isinstance(value, int) and not isinstance(value, bool) else None
