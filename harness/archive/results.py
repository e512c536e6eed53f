"""A stored run as the result that reports and time lines take."""

from __future__ import annotations

from harness.archive.reading import Archived
from harness.history.time_to_error import times_to_error
from harness.judge.result import Result
from harness.values.verdict import Judgement


def result_of(archived: Archived, judgement: Judgement) -> Result:
    """The result; its duration was not stored, so it is taken from the history."""
    ops = archived.history.ops
    meta = archived.meta
    return Result(
        scenario=archived.scenario,
        judgement=judgement,
        history=archived.history,
        run_dir=archived.run_dir,
        seconds=(ops[-1].time_ns - ops[0].time_ns) / 1e9 if ops else 0.0,
        attempt=meta.get("attempt", 1),
        subject=meta.get("subject", "static"),
        seed=meta.get("seed", 0),
        command=meta.get("command", ""),
        times_to_error=times_to_error(archived.scenario, archived.history),
        origin={name: meta[name] for name in ("started_at", "machine", "ranks", "play") if name in meta},
    )
