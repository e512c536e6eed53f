"""What static-strict makes of the scenarios: it keeps what stock breaks."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from verdicts import Verdicts, cells, names, verdicts

from harness.values.verdict import KNOWN, PASSED, SKIPPED

pytestmark = [pytest.mark.needs_torch, pytest.mark.needs_toxiproxy]

# Of each folder one that stock torch breaks, and one that everybody keeps.
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


@pytest.fixture(scope="module")
def strict(rank_python: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Verdicts]:
    """Verdicts on our rendezvous."""
    yield from verdicts(rank_python, tmp_path_factory.mktemp("strict"), subject="static-strict")


@pytest.mark.parametrize("name", SAMPLE)
def test_static_strict_keeps_the_claim(name: str, strict: Verdicts) -> None:
    """With no word about known failures."""
    assert set(strict(cells(name)).values()) == {PASSED}


@pytest.mark.nightly
@pytest.mark.parametrize("name", [name for name in names() if name not in SAMPLE])
def test_static_strict_keeps_the_claim_or_its_file_says_why_not(name: str, strict: Verdicts) -> None:
    """What torch's own store does after the join stands in the file; nothing else is let pass."""
    found = set(strict(cells(name)).values())
    if found == {SKIPPED}:
        pytest.skip("cannot be played here")
    assert found <= {PASSED, KNOWN, SKIPPED}


def test_the_sample_is_a_dozen_scenarios_that_exist() -> None:
    """A name that leads nowhere would leave a hole in the sample, in silence."""
    assert set(SAMPLE) <= set(names())
    assert len(set(SAMPLE)) == 12
