"""What the tests of campaigns share."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from fake_pool import Machine, MakeMachine


@pytest.fixture
def machine(tmp_path: Path) -> MakeMachine:
    def machine(**options: Any) -> Machine:
        return Machine(tmp_path, **options)

    return machine
