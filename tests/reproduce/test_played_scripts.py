"""Scripts that are run: stock torch fails them as found."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from harness.loader import load
from harness.reproduce.script import known_entry, script
from harness.reproduce.trying import AS_EXPECTED, AS_FOUND, UNDECIDED, runs_of

SCENARIOS = Path(__file__).parents[2] / "scenarios"

FAST = (
    "store_reuse/a-closed-rendezvous-cannot-be-joined",
    "latency/a-write-that-returned-is-visible",
)
NIGHTLY = (
    "dropped_masters/a-newcomer-to-a-frozen-master-gives-up-in-time",
    "dropped_masters/a-restarted-worker-counts-once",
    "port_conflicts/a-silent-stranger-costs-the-timeout-at-most",
    "prefix_isolation/run-ids-with-slashes-do-not-collide",
    "regressions/a-retried-join-counts-once",
    "store_reuse/a-lost-store-is-noticed-by-the-next-round",
    "timeouts/a-missing-worker-is-named",
    "wire/a-join-whose-count-reply-was-lost-counts-once",
    "wire/an-add-whose-reply-is-lost-ends-in-time",
)
"""Together: links with latency, a limit, resets and lost messages; kill, restart, pause, a foreign port; no fault."""


@pytest.mark.needs_torch
@pytest.mark.parametrize("name", [*FAST, *(pytest.param(one, marks=pytest.mark.nightly) for one in NIGHTLY)])
def test_a_script_of_what_stock_breaks_fails_as_found(name: str, rank_python: str, tmp_path: Path) -> None:
    """With the exit status 1, and with exactly the claims broken that the scenario's entry names."""
    (cell, *_) = load(SCENARIOS / f"{name}.rdzv.yaml")
    entry = known_entry(cell, "static")
    assert entry is not None
    path = tmp_path / "repro.py"
    path.write_text(script(cell, "static", entry.breaks, entry.because).text(), encoding="utf-8")
    (run,) = runs_of(path, rank_python, 1)
    assert run.status == AS_FOUND, run.output


def test_a_script_without_torch_says_so(tmp_path: Path) -> None:
    """It cannot tell: exit status 2, and a sentence."""
    (cell,) = load(SCENARIOS / f"{FAST[0]}.rdzv.yaml")
    path = tmp_path / "repro.py"
    source = script(cell, "static", ("closed",)).text()
    path.write_text(source.replace('find_spec("torch")', 'find_spec("no_such_module")'), encoding="utf-8")
    (run,) = runs_of(path, sys.executable, 1)
    assert run.status == UNDECIDED
    assert "has no torch" in run.output


@pytest.mark.nightly
@pytest.mark.needs_torch
def test_a_script_of_what_holds_says_so(rank_python: str, tmp_path: Path) -> None:
    """Exit status 0: the same machinery does not find a failure where there is none."""
    _, cell, _ = load(SCENARIOS / "timeouts/everybody-joins-in-time.rdzv.yaml")
    path = tmp_path / "repro.py"
    path.write_text(script(cell, "static", ()).text(), encoding="utf-8")
    (run,) = runs_of(path, rank_python, 1)
    assert run.status == AS_EXPECTED, run.output
    assert "holds  " in run.output
