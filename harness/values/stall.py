"""A part of the harness that stood still for a while: it was stopped, or it waited for a processor."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Mapping, Optional

from harness.values.json import mapping, whole
from harness.values.ops import Op

LAG = "lag"
"""The operation that says so: its value is `Stall.to_json()`, its `lag_ns` the duration."""

STOPPED, WAITED = "stopped", "waited"

CONTROLLER = "the controller"
"""The part that plays: it injects and heals faults, sees processes end, and measures the other parts."""


@dataclass(frozen=True)
class Stall:
    """One time that a part of the harness stood still.

    Attributes:
        part: a name that a person understands: `the proxy server`, `the controller`.
        how: `stopped` (by a signal, a tracer or a cgroup), or `waited` (for a processor).
        since_ns, until_ns: on CLOCK_MONOTONIC.
        lasted_ns: how long it stood still between the two; of a wait it is less if the part ran in between.
    """

    part: str
    how: str
    since_ns: int
    until_ns: int
    lasted_ns: int

    def to_json(self) -> Mapping[str, Any]:
        """Without what the operation itself says."""
        return {"part": self.part, "how": self.how, "since_ns": self.since_ns}


def stall_of(op: Op) -> Optional[Stall]:
    """The stall that a `lag` operation records; None for another one, and for one that names no part."""
    value = mapping(op.value) if op.f == LAG and op.process.rank is None else {}
    if not value.get("part"):
        return None
    since_ns = whole(value.get("since_ns"))
    since_ns = op.time_ns - op.lag_ns if since_ns is None else since_ns
    return Stall(str(value["part"]), str(value.get("how")), since_ns, op.time_ns, op.lag_ns)
