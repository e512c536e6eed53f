"""The verdicts of static-strict on the scenarios: it keeps claims that stock breaks."""

from __future__ import annotations

import pytest
from verdicts import Verdicts, cells, names, require_dozen, verdicts_with

from harness.values.verdict import KNOWN, PASSED, SKIPPED

pytestmark = [pytest.mark.needs_torch, pytest.mark.needs_toxiproxy]

# From each folder a scenario that stock torch breaks, and one that both keep.
SAMPLE = (
    "timeouts/everybody-joins-in-time",
    "timeouts/a-silence-in-the-middle-of-the-join-costs-its-timeout-at-most",
    "timeouts/a-missing-worker-is-named",
    "timeouts/nobody-returns-before-the-last-rank-has-begun",
    "latency/a-write-that-returned-is-visible",
    "dropped_masters/a-restarted-worker-counts-once",
    "port_conflicts/a-store-of-another-run-is-not-joined",
    "prefix_isolation/a-second-round-does-not-see-the-first-rounds-keys",
    "store_reuse/a-second-round-waits-for-everyone",
    "store_reuse/a-closed-rendezvous-cannot-be-joined",
    "regressions/a-retried-join-counts-once",
    "regressions/a-duplicate-rank-does-not-replace-a-missing-one",
)


strict = verdicts_with(subject="static-strict")


@pytest.mark.parametrize("name", SAMPLE)
def test_static_strict_keeps_the_claim(name: str, strict: Verdicts) -> None:
    """With no word about known failures."""
    assert set(strict(cells(name)).values()) == {PASSED}


@pytest.mark.nightly
@pytest.mark.parametrize("name", [name for name in names() if name not in SAMPLE])
def test_static_strict_keeps_the_claim_or_its_file_says_why_not(name: str, strict: Verdicts) -> None:
    """A limit of torch's own store after the join is a `known` entry of the file; nothing else may fail."""
    found = set(strict(cells(name)).values())
    if found == {SKIPPED}:
        pytest.skip("cannot be played here")
    assert found <= {PASSED, KNOWN, SKIPPED}


def test_the_sample_is_a_dozen_scenarios_that_exist() -> None:
    """Of all folders."""
    require_dozen(SAMPLE, names())
