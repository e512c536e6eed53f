"""What a correct rendezvous does: each claim says which calls are not so, or nothing."""

from __future__ import annotations

from collections.abc import Callable

from harness.reproduce.parts.log import NEVER, Call, Moment


def every(calls: list[Call], holds: Callable[[Call], bool]) -> str:
    """It holds for every call."""
    return "; ".join(str(call) for call in calls if not holds(call))


def between(least: int, most: int, calls: list[Call], holds: Callable[[Call], bool]) -> str:
    """It holds for so many of the calls."""
    count = sum(map(holds, calls))
    return "" if least <= count <= most else f"{count} of {len(calls)} calls: {'; '.join(map(str, calls))}"


def either(*broken: str) -> str:
    """One of these claims holds."""
    return " and ".join(broken) if all(broken) else ""


def since(moment: Moment, call: Call) -> float:
    """How long after the moment a call ended."""
    came = moment()
    return NEVER if came is None else call.ended - came
