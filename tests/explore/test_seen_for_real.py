"""Profile and features of real plays: two plays of one draft look alike, a fault shows, every anchor can be used."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from verdicts import options

from harness.campaign.runner import Runner
from harness.explore.draft import CLEAN, SYSTEMATIC, Draft
from harness.explore.novelty import features
from harness.explore.profile import profile

DOCUMENT: dict[str, Any] = {
    "schema": "rdzv-scenario/v1",
    "title": "A workload of the store",
    "world": {"size": 3, "timeout": "4s"},
    "workload": [
        {"id": "join", "do": "rendezvous"},
        {"id": "tell", "do": "set", "ranks": 0, "key": "ready", "value": "1"},
        {"id": "hear", "do": "get", "ranks": "workers", "key": "ready"},
        {"id": "count", "do": "add", "key": "arrived", "after": "hear"},
    ],
    "expect": [{"step": "join", "is": ["ok", "failed", "died"]}],
}
KILL = {"inject": "kill", "ranks": 1, "after": {"wire": {"query": "add", "ranks": 1, "key": "*/arrived"}}}


@pytest.mark.needs_torch
@pytest.mark.parametrize("subject", ["static", "static-strict"])
def test_equal_plays_look_alike_and_a_fault_shows(subject: str, rank_python: str, tmp_path: Path) -> None:
    """Three quarters of the features of two clean plays are common; a fault adds more, and its cell.

    Measured with three runnable processes for each processor and a timeout of 1 s: 100 % with `static`, 88 to 97 % with
    `static-strict`, whose joins ask again while somebody is missing. With a longer one a busy machine matters less.
    """
    clean, faulty = Draft(DOCUMENT, CLEAN, 1), Draft({**DOCUMENT, "faults": [KILL]}, SYSTEMATIC, 1)
    played = options(tmp_path, rank_python, subject=subject, toxiproxy="embedded", seed=1, jobs=1)
    with Runner(played) as runner:
        first, second, third = runner.run([clean.scenario, clean.scenario, faulty.scenario])
    one, other = (features(clean.scenario, result.history) for result in (first, second))
    assert len(one & other) >= 0.75 * len(one | other), sorted(one ^ other)
    hit = features(faulty.scenario, third.history)
    assert "fault kill worker after query add then add died" in hit, sorted(hit)
    assert len(hit - one - other) > 2

    seen = profile(clean.scenario, first.history)
    assert seen.ok_steps == ("join", "tell", "hear", "count")
    assert {anchor.role for anchor in seen.anchors if anchor.kind.startswith("query")} == {"worker"}
    faults = [{"inject": "kill", "ranks": anchor.rank, "after": dict(anchor.moment)} for anchor in seen.anchors]
    assert len(Draft({**DOCUMENT, "faults": faults}, SYSTEMATIC, 1).scenario.faults) == len(seen.anchors)
