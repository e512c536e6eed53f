"""An edge: one call that waited, what it waited for, and how sure that is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from harness.values.history import Call

CERTAIN, LIKELY, UNKNOWN = "certain", "likely", "unknown"
"""Certain: the operations leave no other explanation of why the call did not succeed. Likely: they show a cause that
was there at that time, but not that it acted on this call. Unknown: they show none."""

RANKS, PROXY, NOBODY, NOT_KNOWN = "ranks", "proxy", "nobody", "unknown"
"""For whom a call waited."""

NEVER_SET = "key never set"
SET_LATE = "key set too late"
DELETED = "key deleted"
WRITE_FAILED = "write failed"
WRITE_RUNS = "write not finished"
QUERY_LOST = "query dropped"
REPLY_LOST = "reply swallowed"
HELD = "message held"
NEVER_BEGAN = "rank never began"
BEGAN_LATE = "rank began too late"
DIED = "rank died"
ENDED = "rank ended"
FROZEN = "frozen"
BUSY = "rank in another call"
SKIPPED = "step skipped"
GATED = "step waits for its moment"
NOT_REACHED = "step not reached"
GAVE_UP = "rank gave up"
NOT_GIVEN = "rank given to nobody"
OTHER_SIZE = "another world size"
LINK_TORN = "link torn"
LINK_SLOW = "link slow"
STORE_GONE = "store gone"
PORT_TAKEN = "port taken"
NO_CAUSE = "no cause in the history"


@dataclass(frozen=True)
class Cause:
    """Why a call waited.

    Attributes:
        why: one of the reasons above, as reports name it.
        sure: `CERTAIN`, `LIKELY` or `UNKNOWN`.
        phrase: what follows the call in a sentence: ` for rank 0, which never set it`.
        by: the rank processes that it waited for.
        whom: `RANKS`, `PROXY`, `NOBODY` or `NOT_KNOWN`.
        key: the key that it waited for; empty if it waited for none.
        inside: the call that the awaited rank was in.
        evidence: indexes of the operations that show it.
    """

    why: str
    sure: str
    phrase: str
    by: tuple[int, ...] = ()
    whom: str = RANKS
    key: str = ""
    inside: Call | None = None
    evidence: tuple[int, ...] = ()


@dataclass(frozen=True)
class Edge:
    """One call that waited, and one cause."""

    call: Call
    cause: Cause
    where: str = ""
    """The call in words: `get("ready")`."""

    def to_json(self) -> dict[str, Any]:
        """For the JSON report."""
        call, cause = self.call, self.cause
        return {
            "rank": call.rank,
            "thread": call.thread,
            "life": call.life,
            "step": call.step,
            "call": call.number,
            "verb": call.f,
            "why": cause.why,
            "key": cause.key or None,
            "whom": cause.whom,
            "by": list(cause.by),
            "sure": cause.sure,
            "text": self.text,
            "evidence": sorted({*call.evidence, *cause.evidence}),
        }

    @property
    def text(self) -> str:
        """`rank 1 waits in get("ready") for rank 0, which never set it`."""
        return f"rank {self.call.rank} waits in {self.where}{self.cause.phrase}{doubt(self.cause)}"


def doubt(cause: Cause) -> str:
    """What follows a cause that is not certain."""
    return " (likely)" if cause.sure == LIKELY else ""
