"""The arguments of a rendezvous, checked and converted once; all raise ValueError with what was given."""

from __future__ import annotations

import datetime
import math
import re
from typing import Any

_DECIMAL = re.compile(r"\s*[+-]?[0-9]+\s*", re.ASCII)
_LARGEST_PORT = 65535


def rank_in(given: Any, world_size: int) -> int:
    """A whole number or its decimal text, as torchrun hands it on."""
    rank = _whole("rank", given)
    if not 0 <= rank < world_size:
        raise ValueError(f"rank {rank} is out of range: a world of {world_size} has ranks 0 to {world_size - 1}")
    return rank


def world_size_of(given: Any) -> int:
    size = _whole("world_size", given)
    if size < 1:
        raise ValueError(f"a world size of {size} is too small; it must be at least 1")
    return size


def port_of(given: Any) -> int:
    """Port 0 is refused: the system would choose one, and nobody else would know which (F29)."""
    port = _whole("port", given)
    if not 0 < port <= _LARGEST_PORT:
        raise ValueError(f"port {port} cannot be joined; give a port from 1 to {_LARGEST_PORT}")
    return port


def timeout_of(given: Any) -> datetime.timedelta:
    """Seconds above 0 as int, float or decimal text: 0.5 is half a second."""
    problem = f"timeout {given!r} is not a number of seconds above 0"
    if isinstance(given, bool) or not isinstance(given, (int, float, str)):
        raise ValueError(problem)
    try:
        seconds = float(given)
        timeout = datetime.timedelta(seconds=seconds)
    except (ValueError, OverflowError) as error:
        raise ValueError(problem) from error
    if not math.isfinite(seconds) or timeout < datetime.timedelta(milliseconds=1):
        raise ValueError(problem)
    return timeout


def text_of(what: str, given: Any, may_be_empty: bool = False) -> str:
    if not isinstance(given, str) or not (given or may_be_empty):
        raise ValueError(f"{what} {given!r} is not text" + ("" if may_be_empty else ", or is empty"))
    return given


def _whole(what: str, given: Any) -> int:
    if isinstance(given, str) and _DECIMAL.fullmatch(given):
        return int(given)
    if isinstance(given, bool) or not isinstance(given, int):
        raise ValueError(f"{what} {given!r} is neither a whole number nor its decimal text")
    return given
