"""Findings for tests: a run that failed, on disk, and what an investigation of it says."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from pasts import Past

from harness import archive
from harness.explore.draft import UNIFORM, Draft
from harness.explore.findings import Findings, NewFinding
from harness.explore.observation import Signature
from harness.judge.judge import judge

DOCUMENT: dict[str, Any] = {
    "schema": "rdzv-scenario/v1",
    "title": "What the explorer has drawn",
    "world": {"size": 2, "timeout": "1s"},
    "workload": [{"id": "join", "do": "rendezvous"}],
    "expect": [{"step": "join", "is": "failed"}],
}
"""A claim that breaks whenever everybody joins, with `echo` too."""

CAUSE = "join_identity.rendezvous.master--no-fault"
SIGNATURE = Signature("agreement", "rendezvous", "master", "ok")

WHEN = 1_800_000_000.5
SHOWN = "2027-01-15T08:00:00Z"


def draft(title: str = "What the explorer has drawn", **keys: Any) -> Draft:
    return Draft({**DOCUMENT, "title": title, **keys}, UNIFORM, seed=7)


def red_run(folder: Path, minimal: Draft, subject: str = "static", torch: str | None = "2.15.0+cpu") -> Path:
    """The directory of a run of a draft in which everybody joined."""
    run_dir = archive.create_run(folder, minimal.scenario, {"subject": subject, "seed": 11})
    history = archive.write_history(run_dir, Past(2, subject, torch).all_join().whole())
    archive.write_judgement(run_dir, judge(minimal.scenario, history))
    return run_dir


def new_finding(folder: Path, cause: str = CAUSE, failed: int = 20, of: int = 20, **keys: Any) -> NewFinding:
    """What an investigation hands over; its run lies in `folder`."""
    found, minimal = draft("As it was found"), draft()
    made = NewFinding(cause, SIGNATURE, failed, of, found, minimal, red_run(folder, minimal), (found.id, minimal.id))
    return replace(made, **keys)


def findings(folder: Path) -> Findings:
    """A folder whose clock stands still."""
    return Findings(folder, lambda: WHEN)
