"""Records made without playing anything: scenarios, plays, and results of several torches."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from harness.loader import load_text
from harness.record.document import CallOutcome, ClaimOutcome, Outcome, Play, Results
from harness.record.identity import cell_name, digest, record_id
from harness.record.record import Record
from harness.scenario.scenario import Scenario

TEXT = """\
schema: rdzv-scenario/v1
title: A join ends in time
refs: [F02]
world: {size: 2, timeout: 2s}
workload:
  - {id: join, do: rendezvous}
expect:
  - {id: in-time, step: join, is: failed, within: timeout}
  - {id: named, step: join, is: failed, message: "rank 1"}
known:
  - subject: static
    torch: "<2.9"
    breaks: [in-time]
    instead: [{step: join, is: failed}]
    because: a silent peer is waited for
    refs: [F02, F12]
"""

TORCHES = ("2.6.0+cu124", "2.7.1+cu126", "2.8.0", "2.9.0", "2.10.0")


def scenario(text: str = TEXT, name: str = "a-join-ends-in-time") -> Scenario:
    """One cell, as the loader reads it."""
    (found,) = load_text(text, Path("scenarios", "timeouts", f"{name}.rdzv.yaml"))
    return found


def error(message: str = "timed out after <time>", kind: str = "DistNetworkError") -> CallOutcome:
    """A call that failed."""
    return CallOutcome(outcome="failed", classes=(kind,), message=message)


def results(
    torch: str,
    plays: Mapping[int, tuple[Sequence[str], CallOutcome, float]],
    cell: Scenario | None = None,
    subject: str = "static",
) -> Results:
    """Results with these plays.

    Args:
        plays: by seed: what was broken, how the call of the claim `in-time` ended, and after how many seconds.
    """
    cell = cell or scenario()
    stored: dict[str, Play] = {}
    outcomes: dict[str, Outcome] = {}
    for seed, (broken, end, seconds) in plays.items():
        id = record_id(cell, seed, torch, subject)
        key = f"{end.outcome}-{'-'.join(end.classes)}-{end.message}"
        stored[id] = Play(
            status="failed" if broken else "passed",
            broken=tuple(broken),
            claims={"in-time": ClaimOutcome(key, seconds)},
        )
        held = outcomes.get(key)
        fresh = Outcome(calls=(end,), sample=(end.message,), play=id)
        outcomes[key] = fresh if held is None or fresh.play < held.play else held
    cells = {cell_name(cell): {digest(cell): stored}}
    return Results(torch=torch, subject=subject, cells=cells, outcomes=outcomes)


def five(torch: str, broken: int, cell: Scenario | None = None) -> Results:
    """Five plays of which so many broke the claim `in-time`."""
    plays = {seed: (["in-time"] if seed <= broken else [], error(), 2 + seed / 100) for seed in range(1, 6)}
    return results(torch, plays, cell)


def record(broken: Mapping[str, int], cell: Scenario | None = None) -> Record:
    """A record of one cell: by torch, how many of five plays broke its claim."""
    return Record([five(torch, count, cell) for torch, count in broken.items()], [cell or scenario()])
