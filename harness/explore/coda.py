"""The end of a draft: when every fault is healed, a fresh handler of each rank must join, write and read in time."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from harness.explore.documents import (
    WORKERS,
    Document,
    Entry,
    copied,
    faults_of,
    joined,
    name_of,
    ranks_in,
    removed,
    size_of,
    steps_of,
)
from harness.explore.edits import essential
from harness.explore.workloads import FAMILIES, MOST_STEPS
from harness.faults.base import FAULTS

CODA = "coda"
"""Handler, run id and thread of its steps, the begin of their names, and of the names of its claims."""
CODA_STEPS = 4
TO_START = "500ms"
"""For a rank that is started again: its process must be there before the others' joins, which wait for it, begin."""
TO_BEGIN = "700ms"
"""The same for the master's join, which comes after those of the workers."""


def with_coda(document: Mapping[str, Any]) -> Document:
    """The document with a coda in place of one that it has; as it is where a coda would claim too much.

    The handler is a new one with a run id of its own, so its connections are new: a client whose connection was cut
    never gets another (F15), and does not count. Its steps have a thread of their own, so that what hangs elsewhere
    does not keep them from beginning. No rank is missing, since every rank of the world is there or started again. The
    master joins after the workers: in stock a second store of one process waits for nobody (F08), so that nearly every
    coda would fail for this alone.
    """
    bare = without_coda(document)
    if not allows_coda(bare):
        return bare
    faults, everybody = faults_of(bare), _everybody(bare)
    used = {"handler": CODA, "thread": CODA}
    where = {"run_id": CODA, **used}
    begin = joined(everybody, *(_healed(fault, TO_START) for fault in faults))
    begun = joined(everybody, *(_healed(fault, TO_BEGIN) for fault in faults), *_begun(bare))
    steps: list[Entry] = [
        {"id": "coda-join", "do": "rendezvous", "ranks": WORKERS, **where, "after": begin},
        {"id": "coda-open", "do": "rendezvous", "ranks": 0, **where, "after": begun},
        {"id": "coda-set", "do": "set", "ranks": 0, **used, "key": CODA, "value": "alive"},
        {"id": "coda-get", "do": "get", "ranks": WORKERS, **used, "key": CODA},
    ]
    claims: list[Entry] = [
        {"id": "coda-joins", "step": ["coda-join", "coda-open"], "is": "ok", "within": "timeout + slack"},
        {"id": "coda-reads", "step": "coda-get", "is": "ok", "value": "alive", "within": "timeout + slack"},
    ]
    found = copied(bare)
    found["workload"] = [*found["workload"], *steps]
    found["expect"] = [*found["expect"], *claims]
    return found


def with_its_coda(document: Mapping[str, Any], check: str) -> Document | None:
    """The document; if a claim of the coda is violated, with the coda as a draft has it. None if it may have none.

    A coda without its master's join, or beside a fault that is not healed, fails for this alone.

    Args:
        check: what is violated; of the coda's claims only this one stays.
    """
    if not of_coda(check):
        return copied(document)
    return essential(with_coda(document), check) if allows_coda(document) else None


def of_coda(check: str) -> bool:
    """Whether it is a claim of the coda, by its name."""
    return check.startswith(f"{CODA}-")


def without_coda(document: Mapping[str, Any]) -> Document:
    """The document without its coda."""
    gone = [name_of(step) for step in steps_of(document) if step.get("handler") == CODA]
    return removed(document, gone) if gone else copied(document)


def can_end_with_coda(document: Mapping[str, Any], family: str) -> bool:
    """Whether all ranks of the workload can join afresh once nothing is in the way, and there is room for it."""
    return FAMILIES[family].has_coda and len(steps_of(without_coda(document))) + CODA_STEPS <= MOST_STEPS


def allows_coda(document: Mapping[str, Any]) -> bool:
    """Whether there are faults, and each is healed some time after its injection, whatever else happens.

    With `until` it may be healed by something that a fault prevents.
    """
    faults = faults_of(document)
    return bool(faults) and all("for" in fault for fault in faults)


def _healed(fault: Entry, plus: str) -> Entry:
    """The end of a fault; if it starts ranks again, so much later."""
    moment: Entry = {"fault": name_of(fault), "is": "healed"}
    return {**moment, "plus": plus} if _restarts(fault) else moment


def _begun(document: Document) -> list[Entry]:
    """The begin of the workers' joins; of ranks that a fault starts again it is not known in which life they join."""
    size = size_of(document)
    again = {rank for fault in faults_of(document) if _restarts(fault) for rank in ranks_in(fault.get("ranks"), size)}
    stay = [rank for rank in range(1, size) if rank not in again]
    return [{"step": "coda-join", "ranks": stay, "is": "begun"}] if stay else []


def _restarts(fault: Entry) -> bool:
    return FAULTS[fault["inject"]].restarts_ranks


def _everybody(document: Document) -> Any:
    """When the last rank comes, if one is late by a time; None if all come with the clock."""
    ranks = document["world"].get("ranks") or {}
    return joined(*(one["start"] for one in ranks.values() if "start" in one))
