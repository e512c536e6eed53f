"""Claims about all calls.

Those about joins take, by step and rank, the run id, the rank and the world size that the handler was given.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from harness.reproduce.parts.log import NEVER, Call, all_calls

Given = dict[Any, tuple[str, int, int]]


def no_hang() -> str:
    """Every call ends before its limit."""
    return "; ".join(str(call) for call in all_calls() if call.outcome == "hung")


def no_crash() -> str:
    """No process of a rank ends by itself."""
    return "; ".join(str(call) for call in all_calls() if call.outcome == "died")


def deadline(timeouts: dict[Any, float], slack: float = 1.0) -> str:
    """Every call ends within its timeout and the slack."""
    late = []
    for call in all_calls():
        took, limit = call.took, timeouts.get((call.step, call.who), NEVER)
        took -= call.paused  # if Pause
        if call.outcome in ("ok", "failed", "hung") and took > limit + slack:
            late.append(f"{call} (timeout {limit:g} s)")
    return "; ".join(late)


def joins(given: Given) -> Iterator[tuple[Call, tuple[str, int, int]]]:
    """The calls that joined, by their end, each with what its handler was given."""
    for call in sorted(all_calls(), key=lambda call: call.ended):
        if (call.step, call.who) in given and call.outcome != "skipped":
            yield call, given[call.step, call.who]


def missing(given: Given, run: str, size: int, until: float) -> list[int]:
    """The ranks of a run of which no process had begun to join by then."""
    there = {rank for call, (other, rank, _) in joins(given) if other == run and call.begun <= until}
    return sorted(set(range(size)) - there)


def agreement(given: Given) -> str:
    """Each returns as the rank that it was given, and alone; the master returns only when all ranks have begun."""
    holders: dict[tuple[str, int], str] = {}
    sizes: dict[str, int] = {}
    for call, (run, rank, size) in joins(given):
        if call.outcome != "ok":
            continue
        process = str(call.who).split()[0]  # the same after a restart
        if call.value != {"rank": rank, "world_size": size} or not 0 <= rank < size:
            return f"{call}, but was given rank {rank} of {size}"
        if holders.setdefault((run, rank), process) != process:
            return f"{call}, as another process has"
        if sizes.setdefault(run, size) != size:
            return f"{call}, and others returned another size"
        if rank == 0 and (absent := missing(given, run, size, call.ended)):
            return f"{call} before ranks {absent} had begun to join"
    return ""


def together(given: Given) -> str:
    """No rank returns before all have begun, and all of a run return or all raise."""
    ended: dict[str, set[tuple[str, str]]] = {"ok": set(), "failed": set()}
    for call, (run, _, size) in joins(given):
        ended.setdefault(call.outcome, set()).add((run, str(call.who)))
        if call.outcome == "ok" and (absent := missing(given, run, size, call.ended)):
            return f"{call} before ranks {absent} had begun to join"
    returned = {run for run, _ in ended["ok"]}
    split = sorted(rank for run, rank in ended["failed"] - ended["ok"] if run in returned)
    return f"ranks {split} raised, and others returned" if split else ""


def error_contract(given: Given) -> str:
    """A join that raises does so with one of these classes, or with a class that is derived from one."""
    contract = {"DistNetworkError", "RendezvousConnectionError", "DistStoreError", "RendezvousTimeoutError",
                "RendezvousStateError", "RendezvousClosedError", "ValueError"}  # fmt: skip
    failed = (call for call, _ in joins(given) if call.outcome == "failed")
    return "; ".join(str(call) for call in failed if not contract & set(call.kinds))


def closing(closed: dict[Any, str]) -> str:
    """What a handler was asked after this step closed it says so: by step and rank, the step that closed it."""
    wrong = []
    for call in all_calls():
        by = closed.get((call.step, call.who), "")
        ends = [one for one in all_calls() if (one.step, one.who) == (by, call.who)]
        if any(one.outcome == "ok" for one in ends) and call.outcome == "ok" and call.value is not True:
            wrong.append(f"{call}, after {by}")
    return "; ".join(wrong)
