"""Fixtures of the explorer's tests."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from fake_parts import play
from sessions import Session

from harness.scenario.scenario import Scenario
from harness.values.history import History


@pytest.fixture
def session() -> Callable[..., Session]:
    def session(plays: Callable[[Scenario], History] = play, jobs: int = 3) -> Session:
        return Session(plays, jobs)

    return session
