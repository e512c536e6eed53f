"""How many connects were refused in this process's network so far, as the kernel counts them."""

from __future__ import annotations

import os
from typing import Dict, List, Optional

from harness import clock

_COLUMN = "AttemptFails"


SHORTEST_NS = 500_000_000
"""How long a join must last before it is worth looking: the kernel takes 0.3 ms to sum up its counters."""


class Refusals:
    """The connects that were refused while a join lasts."""

    def __init__(self) -> None:
        self._begun_ns, self._before = clock.now_ns(), refused_connects()

    def facts(self) -> Optional[Dict[str, int]]:
        """`{"refused": number}`; None if none was, if it cannot be read, or if the join was short."""
        if self._before is None or clock.now_ns() - self._begun_ns < SHORTEST_NS:
            return None
        now = refused_connects()
        return {"refused": now - self._before} if now is not None and now > self._before else None


def refused_connects() -> Optional[int]:
    """Of all processes of the network namespace; None where the kernel does not show it."""
    try:
        fd = os.open("/proc/self/net/snmp", os.O_RDONLY)
    except OSError:
        return None
    try:
        return _number(os.read(fd, 1 << 16).decode().splitlines())
    finally:
        os.close(fd)


def _number(lines: List[str]) -> Optional[int]:
    rows = [line.split() for line in lines if line.startswith("Tcp:")]
    if len(rows) != 2 or _COLUMN not in rows[0]:
        return None
    return int(rows[1][rows[0].index(_COLUMN)])
