"""The pages that the tests of this folder open."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import happenings
import synthetic_runs

from harness.judge.result import Result
from harness.reports.html import HtmlReport
from harness.reports.page.index import Written, index
from harness.reports.page.nights import Nights
from harness.reports.page.page import render
from harness.reports.parts.rows import row
from harness.values.history import History
from harness.values.verdict import ERROR, KNOWN, PASSED, SKIPPED, VACUOUS, Judgement

ROWS = 1000


def _another(judgement: Judgement, number: int, **keys: Any) -> Result:
    path = Path("scenarios", f"folder-{number}", f"claim-{number}.rdzv.yaml")
    scenario = happenings.scenario(path, title=f"Claim {number}", tags=("slow",) if number % 2 else ())
    return happenings.result(judgement, scenario=scenario, command=f"rdzv-harness run {path} --seed 7", **keys)


def several() -> list[Result]:
    """Two runs that failed, one of each other status; the skipped one has no picture."""
    others = [
        _another(Judgement(PASSED, "every claim is met"), 1),
        _another(Judgement(VACUOUS, "mute touched nothing"), 2),
        _another(Judgement(ERROR, "the controller was lost"), 3),
        _another(Judgement(KNOWN, "as known", known_refs=("F07",)), 4),
        _another(Judgement(SKIPPED, "world: not yet"), 5, history=History(), run_dir=None),
    ]
    return [synthetic_runs.small(), *others, _another(happenings.red_judgement(), 6)]


def one() -> list[Result]:
    return [synthetic_runs.small()]


def many(path: Path) -> Path:
    """A page of 1,000 rows, of which the first has 10,000 operations: so large as a page may be."""
    large = synthetic_runs.large()
    block = HtmlReport.extras(large)
    first = row(large)
    statuses = (PASSED, KNOWN, PASSED, "failed", SKIPPED, PASSED, VACUOUS, ERROR, PASSED, PASSED)
    rows = [{**first, "waits": {"sentence": ""}} for _ in range(ROWS)]
    for number, one in enumerate(rows[1:], 1):
        status = statuses[number % len(statuses)]
        file = f"scenarios/folder-{number % 20}/claim-{number // 2}.rdzv.yaml"
        because = f"reason {number % 60} of many"
        one |= {"status": status, "path": file, "id": f"claim-{number}", "title": f"Claim {number}", "because": because}
        one |= {"subject": ("static", "static-strict")[number % 2], "proof": first["proof"][:20]}
    written = Written("2026-12-02T09:00:00Z")
    blocks = {0: str(next(iter(block.values())))}
    path.write_text(render(index(rows, blocks, written, Nights()), blocks), encoding="utf-8")
    return path
