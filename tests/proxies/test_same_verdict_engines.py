"""A scenario gives the same verdict through the real server and through the embedded engine."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from verdicts import Verdicts, cells, names, verdicts

from harness.values.verdict import KNOWN, PASSED, SKIPPED

pytestmark = pytest.mark.needs_torch

# Those of `wire` need the engine.
BOTH = names("wire")

# Each of Toxiproxy's toxics, `down` and `partition`, and what comes and goes on links without them. None lasts 5 s.
SAMPLE = (
    "timeouts/everybody-joins-in-time",
    "timeouts/a-join-cut-halfway-is-retried",
    "timeouts/a-silence-in-the-middle-of-the-join-costs-its-timeout-at-most",
    "latency/a-close-that-comes-late-ends-a-blocked-call",
    "latency/a-narrow-link-delays-the-join-and-no-more",
    "latency/a-slow-link-delays-only-its-own-calls",
    "latency/a-multi-set-is-seen-whole-or-not-at-all",
    "dropped_masters/a-restarted-worker-counts-once",
    "prefix_isolation/two-runs-on-one-server-do-not-share-keys",
    "regressions/a-retried-join-counts-once",
    "regressions/a-client-that-was-cut-off-raises-on-every-call",
    "regressions/a-write-that-met-a-reset-raises",
)


@pytest.fixture(scope="module")
def real(rank_python: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Verdicts]:
    """Verdicts through the real server."""
    yield from verdicts(rank_python, tmp_path_factory.mktemp("real"), toxiproxy="real")


@pytest.fixture(scope="module")
def embedded(rank_python: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Verdicts]:
    """Verdicts through the engine."""
    yield from verdicts(rank_python, tmp_path_factory.mktemp("embedded"), toxiproxy="embedded")


@pytest.mark.parametrize("name", SAMPLE)
def test_a_scenario_gives_its_verdict_on_the_engine(name: str, embedded: Verdicts) -> None:
    """Passed or known, whichever its file says: where the real server is, every run of all scenarios plays it there."""
    found = embedded(cells(name))
    if SKIPPED in found.values():
        pytest.skip("not every cell can be played here")
    assert set(found.values()) <= {PASSED, KNOWN}


@pytest.mark.nightly
@pytest.mark.needs_toxiproxy
@pytest.mark.parametrize("name", BOTH)
def test_a_scenario_gives_the_same_verdict_on_both_servers(name: str, real: Verdicts, embedded: Verdicts) -> None:
    """Which server carries the links is no part of any claim."""
    expected, found = real(cells(name)), embedded(cells(name))
    assert found == expected
    if SKIPPED in found.values():
        pytest.skip("not every cell can be played here")
    assert set(found.values()) <= {PASSED, KNOWN}


def test_the_sample_is_a_dozen_scenarios_that_exist() -> None:
    """A name that leads nowhere would leave a hole in the sample, in silence."""
    assert set(SAMPLE) <= set(BOTH)
    assert len(set(SAMPLE)) == 12
