"""The package of mutants, installed for ranks, and a bench to measure them with."""

from __future__ import annotations

from collections.abc import Iterator

import measuring
import pytest
from measuring import Bench

from harness.play.options import EMBEDDED, RunOptions


@pytest.fixture(scope="module")
def bench(rank_python: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    """Plays every cell that a mutant can be played in."""
    runs = tmp_path_factory.mktemp("runs")
    options = RunOptions(python=rank_python, toxiproxy=EMBEDDED, jobs=2, runs_dir=runs, keep=0)
    with measuring.installed(tmp_path_factory.mktemp("site")), Bench(options, measuring.all_cells()) as bench:
        yield bench
