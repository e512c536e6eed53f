"""One result as plain values, which pass through JSON and from one process to another."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from harness.judge.result import Result
from harness.reports.parts import facts, logs, red, waits
from harness.reports.parts.safe import LONGEST_COMMAND, one_line

Row = Mapping[str, Any]
"""What `row` returns."""


def row(result: Result) -> dict[str, Any]:
    """One result as plain values.

    Of a red one, `proof` is what the console shows, line by line; `logs` are the ends of the logs of a red job.
    """
    judgement, is_red = result.judgement, result.status in facts.RED
    return {
        "id": result.scenario.id,
        "title": result.scenario.title,
        "path": str(result.scenario.path),
        "cell": dict(result.scenario.cell),
        "tags": list(result.scenario.tags),
        "attempt": result.attempt,
        **asdict(facts.about(result)),
        "seed": result.seed,
        **facts.origin(result),
        "status": judgement.status,
        "because": judgement.because,
        "known_refs": list(judgement.known_refs),
        "unnamed_calls": judgement.unnamed_calls,
        "notes": list(judgement.notes),
        "disturbed": list(result.disturbed),
        "waits": waits.of(result).to_json(),
        "verdicts": [verdict.to_json() for verdict in judgement.verdicts],
        "times_to_error": [time.to_json() for time in result.times_to_error],
        "seconds": round(result.seconds, 6),
        "run_dir": None if result.run_dir is None else str(result.run_dir),
        "command": one_line(result.command, LONGEST_COMMAND),
        "proof": [red.title(result), *red.body(result)] if is_red else [],
        "logs": [tail.to_json() for tail in logs.tails_of(result)] if is_red else [],
    }


def about(row: Row) -> facts.About:
    """Where a row's result comes from, as `facts.about` says of the result."""
    return facts.About(**{name: row[name] for name in facts.ABOUT})
