"""The package of mutants, installed for ranks."""

from __future__ import annotations

from collections.abc import Iterator

import measuring
import pytest
from measuring import Bench, Benches

from harness.play.options import EMBEDDED, RunOptions


@pytest.fixture(scope="module")
def benches(rank_python: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Benches]:
    """Makes a bench for some cells; mutants are installed meanwhile."""
    runs = tmp_path_factory.mktemp("runs")
    options = RunOptions(python=rank_python, toxiproxy=EMBEDDED, jobs=2, runs_dir=runs, keep=0)
    with measuring.installed(tmp_path_factory.mktemp("site")):
        yield lambda cells: Bench(options, cells)
