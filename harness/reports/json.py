"""One JSON document with everything a program wants to know of a run."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from harness import __version__
from harness.reports.base import REPORTS, Report, check_writable, write
from harness.reports.parts import facts, red
from harness.result import Result

FORMAT = "rdzv-report/v1"


@REPORTS.register("json")
class JsonReport(Report):
    """`meta`, then `results` in the order in which they ended."""

    def __init__(self, path: Path | None) -> None:
        self._path = path

    @classmethod
    def to(cls, path: Path | None) -> Report:
        return cls(None if path is None else check_writable(path))

    def closed(self, results: Sequence[Result], interrupted: bool) -> None:
        write(self._path, json.dumps(document(results, interrupted), indent=2) + "\n")


def document(results: Sequence[Result], interrupted: bool) -> dict[str, Any]:
    """The whole document as plain values."""
    everywhere = list(dict.fromkeys(map(facts.about, results)))
    meta = {
        "schema": FORMAT,
        "harness": __version__,
        "subjects": _distinct(about.subject for about in everywhere),
        "torch": _distinct(about.torch for about in everywhere),
        "python": _distinct(about.python for about in everywhere),
        "proxies": _distinct(about.proxy for about in everywhere),
        "isolation": _distinct(about.isolation for about in everywhere),
        "counts": facts.counts(result.status for result in results),
        "interrupted": interrupted,
    }
    return {"meta": meta, "results": [_row(result) for result in results]}


def _distinct(texts: Any) -> list[str]:
    return list(dict.fromkeys(text for text in texts if text))


def _row(result: Result) -> dict[str, Any]:
    judgement = result.judgement
    return {
        "id": result.scenario.id,
        "title": result.scenario.title,
        "path": str(result.scenario.path),
        "cell": dict(result.scenario.cell),
        "attempt": result.attempt,
        "subject": result.subject,
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
