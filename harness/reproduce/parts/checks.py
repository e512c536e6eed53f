"""Claims about all calls."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from harness.reproduce.parts.scene import Join


def no_hang(play: Any) -> str:
    """Every call ends before its guard ends it."""
    return "; ".join(str(call) for call in play.calls.values() if call.outcome == "hung")


def deadline(play: Any, timeouts: dict[tuple[str, int], float], slack: float = 1.0) -> str:
    """Every call ends within its timeout and the slack; time for which its rank was paused is not counted."""
    ended = [call for call in play.calls.values() if call.outcome in ("ok", "failed", "hung")]
    timed = [(call, timeouts[call.step.name, call.rank]) for call in ended if (call.step.name, call.rank) in timeouts]
    return "; ".join(
        f"{call} (timeout {limit:g} s)" for call, limit in timed if call.took - call.paused > limit + slack
    )


def joins(play: Any) -> Iterator[tuple[Any, dict[str, Any]]]:
    """The calls that joined, by their end, each with the configuration of its handler."""
    begun = [call for call in play.calls.values() if isinstance(call.step.call, Join) and call.begun is not None]
    for call in sorted(begun, key=lambda call: call.ended or call.begun):
        yield call, play.scene.configuration(call.rank, call.step.call.handler)


def ranks_missing(play: Any, given: dict[str, Any], until: float) -> list[int]:
    """The ranks of a run of which no process had begun to join by then."""
    there = {int(one["rank"]) for call, one in joins(play) if one["run_id"] == given["run_id"] and call.begun <= until}
    return sorted(set(range(given["world_size"])) - there)


def agreement(play: Any) -> str:
    """Each returns as the rank that it was given, and alone; the master returns only when all ranks have begun."""
    holders: dict[Any, int] = {}
    for call, given in joins(play):
        if call.outcome != "ok":
            continue
        if (call.value["rank"], call.value["world_size"]) != (int(given["rank"]), given["world_size"]):
            return f"{call}, but was given {given}"
        if not 0 <= call.value["rank"] < call.value["world_size"]:
            return f"{call}, which is out of range"
        if holders.setdefault((given["run_id"], call.value["rank"]), call.rank) != call.rank:
            return f"{call}, as another process has"
        if holders.setdefault((given["run_id"], "size"), given["world_size"]) != given["world_size"]:
            return f"{call}, and others returned another size"
        missing = ranks_missing(play, given, call.ended) if int(given["rank"]) == 0 else []
        if missing:
            return f"{call} before ranks {missing} had begun to join"
    return ""


def together(play: Any) -> str:
    """No rank returns before all have begun, and all of a run return or all raise."""
    returned: set[tuple[str, int]] = set()
    raised: set[tuple[str, int]] = set()
    for call, given in joins(play):
        if call.outcome in ("ok", "failed"):
            (returned if call.outcome == "ok" else raised).add((given["run_id"], call.rank))
        if call.outcome == "ok" and (missing := ranks_missing(play, given, call.ended)):
            return f"{call} before ranks {missing} had begun to join"
    split = [rank for run_id, rank in raised - returned if any(run_id == other for other, _ in returned)]
    return f"ranks {sorted(split)} raised, and others returned" if split else ""


CONTRACT = {"DistNetworkError", "RendezvousConnectionError", "DistStoreError", "RendezvousTimeoutError",
            "RendezvousStateError", "RendezvousClosedError", "ValueError"}  # fmt: skip


def error_contract(play: Any) -> str:
    """A join that raises does so with one of these classes, or with a class that is derived from one."""
    failed = (call for call, _ in joins(play) if call.outcome == "failed")
    return "; ".join(str(call) for call in failed if not CONTRACT & set(call.kinds))
