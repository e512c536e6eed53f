"""A scenario gives the same verdict through the real server and through the embedded engine."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from harness.loader import load
from harness.runner import Options, Runner
from harness.scenario import Scenario
from harness.words.verdict import KNOWN, PASSED, SKIPPED

pytestmark = [pytest.mark.needs_torch, pytest.mark.needs_toxiproxy]

SCENARIOS = Path(__file__).parents[2] / "scenarios"
SUFFIX = ".rdzv.yaml"

# Those of `wire` need the engine, and those of `hosts` say in which world they play.
BOTH = sorted(
    str(path.relative_to(SCENARIOS)).removesuffix(SUFFIX)
    for path in SCENARIOS.rglob("*" + SUFFIX)
    if path.parent.name not in ("wire", "hosts")
)

# Each of Toxiproxy's toxics, `down` and `partition`, and what comes and goes on links without them. None lasts 5 s.
SAMPLE = (
    "timeouts/everybody-joins-in-time",
    "timeouts/a-join-cut-halfway-is-tried-again",
    "timeouts/a-silence-in-the-middle-of-the-join-costs-its-timeout-at-most",
    "latency/a-close-that-comes-late-ends-a-blocked-call",
    "latency/a-narrow-link-delays-the-join-and-no-more",
    "latency/a-slow-link-delays-only-its-own-calls",
    "latency/a-multi-set-is-seen-whole-or-not-at-all",
    "dropped_masters/a-restarted-worker-counts-once",
    "prefix_isolation/two-runs-on-one-server-do-not-share-keys",
    "regressions/a-retried-join-counts-once",
    "regressions/a-client-that-was-cut-off-says-so-each-time",
    "regressions/a-write-that-met-a-reset-is-told",
)

Verdicts = Callable[[Sequence[Scenario]], dict[str, str]]


def _through(server: str, runs_dir: Path) -> Iterator[Verdicts]:
    require = frozenset(filter(None, os.environ.get("RDZV_REQUIRE", "").split(",")))
    python = os.environ.get("RDZV_TEST_PYTHON", sys.executable)
    with Runner(Options(python=python, runs_dir=runs_dir, toxiproxy=server, require=require)) as runner:
        yield lambda cells: {result.scenario.id: result.status for result in runner.run(cells)}


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Verdicts]:
    """Verdicts through the real server."""
    yield from _through("real", tmp_path_factory.mktemp("real"))


@pytest.fixture(scope="module")
def embedded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Verdicts]:
    """Verdicts through the engine."""
    yield from _through("embedded", tmp_path_factory.mktemp("embedded"))


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=() if name in SAMPLE else pytest.mark.nightly) for name in BOTH]
)
def test_a_scenario_gives_the_same_verdict_on_both_servers(name: str, real: Verdicts, embedded: Verdicts) -> None:
    """Which server carries the links is no part of any claim."""
    cells = load(SCENARIOS / (name + SUFFIX))
    expected, found = real(cells), embedded(cells)
    if SKIPPED in {*expected.values(), *found.values()}:
        pytest.skip("not every cell can be played through both servers here")
    assert found == expected
    assert set(found.values()) <= {PASSED, KNOWN}


def test_the_sample_is_a_dozen_scenarios_that_exist() -> None:
    """A name that leads nowhere would leave a hole in the sample, in silence."""
    assert set(SAMPLE) <= set(BOTH)
    assert len(set(SAMPLE)) == 12
