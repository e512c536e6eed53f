"""One JSON document with everything a program wants to know of a run."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from harness import __version__
from harness.judge.result import Result
from harness.reports.base import REPORTS, FileReport, write
from harness.reports.parts import facts, red

FORMAT = "rdzv-report/v1"

# What each row says of where it ran, and `meta` once for all, as a list of the distinct answers.
ABOUT = ("subject", "torch", "python", "proxy", "isolation")


@REPORTS.register("json")
class JsonReport(FileReport):
    """`meta`, then `results` in the order in which they ended."""

    def closed(self, results: Sequence[Result], interrupted: bool) -> None:
        write(self._path, json.dumps(document([row(result) for result in results], interrupted), indent=2) + "\n")


def document(rows: Sequence[Mapping[str, Any]], interrupted: bool = False) -> dict[str, Any]:
    """The whole document as plain values; the rows may come from several processes."""
    statuses = [str(row["status"]) for row in rows]
    meta = {
        "schema": FORMAT,
        "harness": __version__,
        **{name: _distinct(rows, name) for name in ABOUT},
        "counts": facts.counts(statuses),
        "interrupted": interrupted,
    }
    return {"meta": meta, "results": list(rows)}


def _distinct(rows: Sequence[Mapping[str, Any]], name: str) -> list[str]:
    return list(dict.fromkeys(row[name] for row in rows if row.get(name)))


def row(result: Result) -> dict[str, Any]:
    """One result as plain values."""
    judgement, about = result.judgement, facts.about(result)
    return {
        "id": result.scenario.id,
        "title": result.scenario.title,
        "path": str(result.scenario.path),
        "cell": dict(result.scenario.cell),
        "attempt": result.attempt,
        **{name: getattr(about, name) for name in ABOUT},
        "seed": result.seed,
        "status": judgement.status,
        "because": judgement.because,
        "known_refs": list(judgement.known_refs),
        "unnamed_calls": judgement.unnamed_calls,
        "notes": list(judgement.notes),
        "verdicts": [verdict.to_json() for verdict in judgement.verdicts],
        "seconds": round(result.seconds, 6),
        "run_dir": None if result.run_dir is None else str(result.run_dir),
        "command": red.again(result),
    }
