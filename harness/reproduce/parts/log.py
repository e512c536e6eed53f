"""What happens: each process of the play appends rows to one file, and reads the rows of all."""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Optional

NEVER = float("inf")
Moment = Callable[[], Optional[float]]  # when something came: None while it has not, NEVER if it cannot
LOG = sys.argv[2] if len(sys.argv) > 2 else tempfile.mkstemp(".jsonl")[1]


def log(**facts: Any) -> None:
    """Append a row to the file that all processes write and read; they share the clock."""
    with open(LOG, "a") as file:
        file.write(json.dumps({"time": time.monotonic(), **facts}, default=plain) + "\n")


def plain(value: Any) -> Any:
    """What a call returned, as JSON: texts, the rank of a RendezvousInfo, nothing of a store."""
    if isinstance(value, bytes):
        return value.decode()
    return {"rank": value.rank, "world_size": value.world_size} if hasattr(value, "world_size") else None


def rows(**facts: Any) -> list[Any]:
    """The rows so far that have these facts."""
    return [row for row in read_log(os.path.getsize(LOG)) if facts.items() <= row.items()]


@lru_cache(maxsize=1)
def read_log(size: int) -> list[Any]:
    with open(LOG) as file:
        return [json.loads(line) for line in file.read(size).split("\n")[:-1]]  # the last may not be whole


def time_of(plus: float = 0.0, **facts: Any) -> float | None:
    """When the first such row was written, and a while; None if there is none."""
    return next((float(row["time"]) + plus for row in rows(**facts)), None)


@dataclass
class Call:
    """One call of a process; `who` is its rank, or the rank and `again` after a restart."""

    step: str
    who: int | str
    call: str = ""  # its number in the log
    begun: float = NEVER
    ended: float = NEVER
    outcome: str = "never began"  # then: runs, and ok, failed, skipped, died or hung
    value: Any = None
    kinds: list[str] = field(default_factory=list)  # the class of what it raised, and its bases
    message: str = ""
    stacks: str = ""
    paused: float = 0.0  # if Pause

    @property
    def took(self) -> float:
        return NEVER if self.ended == NEVER else self.ended - self.begun

    def __str__(self) -> str:
        took = "" if self.took == NEVER else f" after {self.took:.2f} s"
        said = f": {self.kinds[0]}: {self.message[:120]}" if self.kinds else ""
        value = "" if self.value is None else f", returned {self.value!r}"
        return f"rank {self.who}: {self.step} {self.outcome}{took}{said}{value}"


def all_calls() -> list[Call]:
    """The calls that have begun, or were skipped."""
    found: dict[str, Call] = {}
    for row in rows():
        if "call" in row:
            call = found.setdefault(row["call"], Call(row.get("step"), row.get("who")))
            vars(call).update(row)
    return list(found.values())


def running() -> list[Call]:
    return [call for call in all_calls() if call.outcome == "runs"]


def frozen() -> set[int]:
    """The ranks that are paused now."""
    state = {row["who"]: row["state"] for row in rows() if row.get("state") in ("paused", "resumed")}
    return {who for who in state if state[who] == "paused"}


def calls(step: str, *who: int | str, times: int = 1) -> list[Call]:
    """The calls of a step by these processes, with those that never began."""
    found = []
    for one in who:
        made = [call for call in all_calls() if (call.step, call.who) == (step, one)]
        found += [*made, *(Call(step, one) for _ in range(times - len(made)))]
    return found


def seconds(offset: float) -> Moment:
    """So long after the start."""
    return lambda: time_of(state="play", plus=offset)


def when_calls(states: str, step: str, *who: int | str, times: int = 1, count: int = 0, plus: float = 0.0) -> Moment:
    """When all calls of a step (or `count` of them) are in a state: begun, ended, or one of these outcomes."""

    def came() -> float | None:
        of = calls(step, *who, times=times)
        reached = [time for call in of if (time := became(call, states)) < NEVER]
        wanted = count or len(of)
        if len(reached) >= wanted:
            return sorted(reached)[wanted - 1] + plus
        may_come = [call for call in of if call.ended == NEVER]
        return None if len(reached) + len(may_come) >= wanted else NEVER

    return came


def became(call: Call, states: str) -> float:
    return call.begun if states == "begun" else call.ended if states == "ended" or call.outcome in states else NEVER


def when_fault(name: str, state: str = "injected", plus: float = 0.0) -> Moment:
    """When a fault is injected, or healed."""
    return lambda: time_of(fault=name, state=state, plus=plus)


def when_all(*moments: Moment) -> Moment:
    """When the last of these has come."""

    def came() -> float | None:
        times = [moment() for moment in moments]
        known = [time for time in times if time is not None]
        return max(known) if NEVER in known or len(known) == len(times) else None

    return came
