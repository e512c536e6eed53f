"""A scenario gives the same verdict through the real server and through the embedded engine."""

from __future__ import annotations

import pytest
from verdicts import Verdicts, cells, names, require_as_written, require_dozen, verdicts_with

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


real = verdicts_with(toxiproxy="real")
embedded = verdicts_with(toxiproxy="embedded")


@pytest.mark.parametrize("name", SAMPLE)
def test_a_scenario_gives_its_verdict_on_the_engine(name: str, embedded: Verdicts) -> None:
    """The verdict is the one in its file, passed or known; runs of all scenarios play it on the real server."""
    require_as_written(embedded(cells(name)))


@pytest.mark.nightly
@pytest.mark.needs_toxiproxy
@pytest.mark.parametrize("name", BOTH)
def test_a_scenario_gives_the_same_verdict_on_both_servers(name: str, real: Verdicts, embedded: Verdicts) -> None:
    """No claim depends on which server carries the links."""
    expected, found = real(cells(name)), embedded(cells(name))
    assert found == expected
    require_as_written(found)


def test_the_sample_is_a_dozen_scenarios_that_exist() -> None:
    """None of them needs the engine."""
    require_dozen(SAMPLE, BOTH)
