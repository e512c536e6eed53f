"""The times to an error beside the timeouts that were asked for: a table of the whole run."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from harness.history.time_to_error import ENDS, PHASES, TIMED_OUT, TimeToError
from harness.reports.parts.safe import one_line
from harness.values.plan import JOIN
from harness.values.quantity import format_ns


@dataclass(frozen=True)
class Line:
    """The calls of one verb that asked for the same timeout and ended alike in the same phase.

    Attributes:
        f, phase, asked_ns, end: what they have in common.
        took_ns: the times to their ends, sorted; there is one at least.
    """

    f: str
    phase: str
    asked_ns: int
    end: str
    took_ns: tuple[int, ...]

    @property
    def early(self) -> int:
        """How many timed out before the time that they asked for."""
        return sum(took < self.asked_ns for took in self.took_ns) if self.end == TIMED_OUT else 0

    def quantile_ns(self, share: float) -> int:
        """The nearest-rank quantile of the times."""
        return self.took_ns[max(0, math.ceil(share * len(self.took_ns)) - 1)]

    def to_json(self) -> dict[str, Any]:
        return {
            "f": self.f,
            "phase": self.phase,
            "asked_ns": self.asked_ns,
            "end": self.end,
            "calls": len(self.took_ns),
            "early": self.early,
            "min_ns": self.quantile_ns(0),
            "median_ns": self.quantile_ns(0.5),
            "p95_ns": self.quantile_ns(0.95),
            "max_ns": self.quantile_ns(1),
        }


def lines(times: Iterable[TimeToError]) -> list[Line]:
    """A line for each verb, phase, timeout and end; joins come first, and phases in the order of a join."""
    groups: dict[tuple[str, str, int, str], list[int]] = {}
    for time in times:
        groups.setdefault((time.f, time.phase, time.asked_ns, time.end), []).append(time.took_ns)
    return [Line(*key, tuple(sorted(groups[key]))) for key in sorted(groups, key=_order)]


def _order(key: tuple[str, str, int, str]) -> tuple[bool, str, int, int, int]:
    f, phase, asked_ns, end = key
    return f != JOIN, f, PHASES.index(phase), asked_ns, ENDS.index(end)


HEAD = ("call", "phase", "ended", "asked", "calls", "early", "least", "median", "95 %", "most")
NAMES = 3
VERB_WIDTH = 40
"""How many of the first columns are names; the others are numbers."""


def cells(line: Line) -> tuple[str, ...]:
    """A line of the table as texts, in the order of `HEAD`."""
    return (
        one_line(line.f, VERB_WIDTH),
        line.phase,
        line.end,
        format_ns(line.asked_ns),
        str(len(line.took_ns)),
        str(line.early or ""),
        *(format_ns(line.quantile_ns(share)) for share in (0, 0.5, 0.95, 1)),
    )
