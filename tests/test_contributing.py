"""The examples of CONTRIBUTING.md do what the page says of them."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from harness.checkers.base import CHECKERS
from harness.cli.reporting import make, parse
from harness.faults.base import FAULTS
from harness.rank.steps import STEPS, store
from harness.reports.base import REPORTS, RowReport
from harness.scenario.scenario import Fault
from harness.values.history import History
from harness.values.ops import INVOKE, OK, Op, Process

PAGE = Path(__file__).parents[1] / "CONTRIBUTING.md"
EXAMPLES = dict(re.findall(r"```python\n# (\S+)\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL))


@pytest.fixture(autouse=True)
def _registries(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """What an example registers is forgotten after its test."""
    for registry in (FAULTS, CHECKERS, REPORTS):
        list(registry)
        monkeypatch.setattr(registry, "_members", dict(registry._members))
    steps = dict(STEPS)
    yield
    STEPS.clear()
    STEPS.update(steps)


def run_example(path: str, **names: Any) -> None:
    """Run an example as the module that its first line names."""
    exec(compile(EXAMPLES[path], path, "exec"), {"__name__": path, **names})


def test_the_fault_squeezes_a_real_process_and_lets_go() -> None:
    """One processor while it is held, all of them afterwards."""
    run_example("harness/faults/one_processor.py")
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        context: Any = SimpleNamespace(process=lambda rank: process)
        before = os.sched_getaffinity(process.pid)
        with FAULTS["one_processor"](Fault("squeeze", "one_processor", (0,), {})).hold(context) as evidence:
            assert os.sched_getaffinity(process.pid) == {min(before)}
            assert evidence().facts == {"pids": [process.pid]}
        assert os.sched_getaffinity(process.pid) == before
        process.kill()


def test_the_step_reads_what_is_there_and_does_not_wait() -> None:
    """Text of a key that exists, nothing for one that does not."""
    run_example("harness/rank/steps/store.py", **vars(store))
    there = {"ready": b"1"}
    context = SimpleNamespace(store=SimpleNamespace(get=there.__getitem__, check=lambda keys: keys[0] in there))
    run = STEPS["peek"].run
    assert (run(context, {"key": "ready"}), run(context, {"key": "late"})) == ("1", None)


@pytest.mark.parametrize(("calls", "status"), [(0, "vacuous"), (1, "passed"), (2, "failed")])
def test_the_checker_accepts_one_join_and_rejects_two(calls: int, status: str) -> None:
    """And has nothing to judge where nobody joined."""
    run_example("harness/checkers/joined_once.py")
    ops = [
        Op(10 * call + later, Process(0), type_, "rendezvous", step="join", call=call)
        for call in range(1, calls + 1)
        for later, type_ in enumerate((INVOKE, OK))
    ]
    nothing: Any = None
    assert CHECKERS["joined_once"]().check(nothing, History.of(ops), {}).status == status


def test_the_report_counts_statuses(tmp_path: Path) -> None:
    """A line for each, in alphabetical order."""
    run_example("harness/reports/counts.py")
    (report,) = make([parse(f"counts={tmp_path / 'counts.txt'}")])
    assert isinstance(report, RowReport)
    report.closed_with([{"status": status} for status in ("passed", "failed", "passed")], interrupted=False)
    assert (tmp_path / "counts.txt").read_text() == "failed 1\npassed 2\n"


def test_the_files_it_names_exist() -> None:
    """Every path of the tree that stands in backquotes and is no example to be made."""
    named = re.findall(r"`((?:harness|tests|benchmarks|\.ci)/[\w/.-]+)`", PAGE.read_text(encoding="utf-8"))
    made = [path for path in named if not (PAGE.parent / path).exists() and not re.search("KIND|GROUP", path)]
    assert named
    assert made == []
