"""Whether a part of the harness that stood still can explain what a run shows."""

from __future__ import annotations

from collections.abc import Sequence

from harness.history.lateness import ranks_ran_ns
from harness.history.wording import joined
from harness.values.history import History
from harness.values.quantity import format_ns
from harness.values.stall import STOPPED, WAITED, Stall

STARVED_NS = 500_000_000
"""A part that waited for a processor for so long without a break stood still: a back-off of torch's is that long at
least, and a call's timeout seldom leaves more. Shorter waits are everyday on a busy machine: they only excuse a bound
that was missed by less. A stop counts whatever its length, because nothing but an act from outside stops a part."""


def explanation(history: History, window: tuple[int, int], how: tuple[str, ...] = (STOPPED, WAITED)) -> Stall | None:
    """The longest stall that can explain what went wrong in a window of time; None if there is none.

    A stop can explain whatever came after it: a call that it made fail is missed by later ones. A wait for a processor
    explains only what it overlaps. What was over before the clock started explains nothing.

    Args:
        how: which kinds of stalls may explain it.
    """
    from_ns, to_ns = min(window), max(window)
    fits = [
        stall
        for stall in stood_still(history)
        if stall.how in how and stall.since_ns <= to_ns and (stall.how == STOPPED or stall.until_ns >= from_ns)
    ]
    return max(fits, key=lambda stall: stall.lasted_ns, default=None)


def stood_still(history: History) -> list[Stall]:
    """The times that a part stood still long enough to count, while the clock ran."""
    return [stall for stall in history.stalls if stall.until_ns >= history.start_ns and _counts(history, stall)]


def _counts(history: History, stall: Stall) -> bool:
    """A wait counts without the time for which the ranks themselves ran meanwhile: it may have been for them."""
    if stall.how == STOPPED or stall.lasted_ns < STARVED_NS:
        return stall.how == STOPPED
    return stall.lasted_ns - ranks_ran_ns(history, (stall.since_ns, stall.until_ns)) >= STARVED_NS


def describe_stall(history: History, stall: Stall) -> str:
    """`the proxy server stood still for 6.00 s, from 1.20 s on`."""
    return f"{stall.part} stood still for {format_ns(stall.lasted_ns)}, from {_since(history, stall)}"


def _since(history: History, stall: Stall) -> str:
    since_ns = stall.since_ns - history.start_ns
    return f"{format_ns(since_ns)} on" if since_ns >= 0 else f"{format_ns(-since_ns)} before the clock started"


def each_part(history: History) -> list[str]:
    """A sentence for each part that stood still long enough to count: `the proxy server stood still for 1.20 s to
    6.00 s, 3 times, the first from 1.20 s on`."""
    parts: dict[str, list[Stall]] = {}
    for stall in sorted(stood_still(history), key=lambda stall: stall.since_ns):
        parts.setdefault(stall.part, []).append(stall)
    return [_together(history, stalls) for stalls in parts.values()]


def _together(history: History, stalls: Sequence[Stall]) -> str:
    if len(stalls) == 1:
        return describe_stall(history, stalls[0])
    lasted = [stall.lasted_ns for stall in stalls]
    range_ = " to ".join(dict.fromkeys((format_ns(min(lasted)), format_ns(max(lasted)))))
    first = f"the first from {_since(history, stalls[0])}"
    return f"{stalls[0].part} stood still for {range_}, {len(stalls)} times, {first}"


def describe_stalls(history: History) -> str:
    """Each part that stood still long enough to count, as one sentence; empty if none did."""
    return joined(each_part(history))


def excuse(history: History, stall: Stall) -> str:
    """What follows a sentence that says what went wrong."""
    return f"{describe_stall(history, stall)}, which can explain it; find out what stopped it, and play it again"
