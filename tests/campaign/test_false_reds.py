"""Nothing that is well is red on a busy machine: a few clean joins on each push, more of them at night."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest
from verdicts import PYTHON

from harness.loader import load_text
from harness.play.options import RunOptions

BENCHMARK = Path(__file__).parents[2] / "benchmarks" / "false_reds.py"
RED = """\
schema: rdzv-scenario/v1
title: A claim that is broken
world: {size: 1, timeout: 5s, route: direct}
workload:
  - {do: rendezvous}
expect:
  - {step: rendezvous, is: failed}
"""


@pytest.fixture(scope="module")
def benchmark() -> ModuleType:
    """The benchmark as a module."""
    spec = importlib.util.spec_from_file_location("false_reds", BENCHMARK)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def test_a_red_cell_is_counted_and_told(benchmark: ModuleType, tmp_path: Path) -> None:
    """So none goes by unseen."""
    counted = benchmark.count(load_text(RED, Path("red.rdzv.yaml")), RunOptions(subject="echo", runs_dir=tmp_path), 2)
    assert (counted.played, counted.statuses) == (2, {"failed": 2})
    assert [line.startswith("failed red: rendezvous: ") for line in counted.shown] == [True, True]


def test_clean_joins_beside_busy_loops_are_never_red(benchmark: ModuleType, tmp_path: Path) -> None:
    """A handful, with the subject that needs no torch; the loops are gone afterwards."""
    cells = load_text(benchmark.CLEAN, Path("clean.rdzv.yaml"))
    with benchmark.busy(2):
        counted = benchmark.count(cells, RunOptions(subject="echo", runs_dir=tmp_path, jobs=2), 4)
    assert (counted.statuses, counted.shown) == ({"passed": 4}, [])


@pytest.mark.nightly
@pytest.mark.needs_torch
def test_many_clean_joins_beside_busy_loops_are_never_red() -> None:
    """A hundred with each subject: with none red, the share of false reds is below 3.7 % with 95 % confidence."""
    words = [sys.executable, str(BENCHMARK), "--joins", "100", "--python", PYTHON]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("0 of 100 failed (95 % interval 0.0 % to 3.7 %)") == 2
