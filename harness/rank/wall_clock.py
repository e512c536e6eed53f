"""Moves the wall clock of this process, as Python code reads it from the module `time`, and no other clock."""

from __future__ import annotations

import sys
import time
from typing import Any, Callable, Dict, List, Tuple

_offset_ns = 0
_real_time, _real_time_ns = time.time, time.time_ns
_real_gettime, _real_gettime_ns = time.clock_gettime, time.clock_gettime_ns


def move(by_ns: int) -> List[str]:
    """Move it by so many nanoseconds, backwards if negative; returns the modules that read the moved one.

    Besides `time` itself these are the modules that have one of its functions under its own name (`from time import
    time`). Looking at all names of all modules would take half a second in a rank that was forked. C and C++ code is
    not affected, nor is `datetime`, nor what has kept a function under another name.
    """
    global _offset_ns
    _offset_ns += by_ns
    return sorted(module.__name__ for module in list(sys.modules.values()) if _replace(module))


def _replace(module: Any) -> bool:
    names: Any = getattr(module, "__dict__", None)
    # Some entries of `sys.modules` are classes.
    if not isinstance(names, dict) or names.get("__name__") == __name__:
        return False
    found = {name: moved for name, (real, moved) in _MOVED.items() if names.get(name) is real}
    names.update(found)
    return bool(found) or any(names.get(name) is moved for name, (_, moved) in _MOVED.items())


def _time() -> float:
    return _real_time() + _offset_ns / 1e9


def _time_ns() -> int:
    return _real_time_ns() + _offset_ns


def _gettime(clock: int) -> float:
    return _real_gettime(clock) + (_offset_ns / 1e9 if clock == time.CLOCK_REALTIME else 0)


def _gettime_ns(clock: int) -> int:
    return _real_gettime_ns(clock) + (_offset_ns if clock == time.CLOCK_REALTIME else 0)


_MOVED: Dict[str, Tuple[Callable[..., Any], Callable[..., Any]]] = {
    "time": (_real_time, _time),
    "time_ns": (_real_time_ns, _time_ns),
    "clock_gettime": (_real_gettime, _gettime),
    "clock_gettime_ns": (_real_gettime_ns, _gettime_ns),
}
