"""The name of a play: the same for every run of the same cell, seed, subject and versions."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence

from harness import __version__
from harness.scenario.scenario import Scenario

DIGITS = 16


def play_id(
    scenario: Scenario,
    seed: int,
    torch: str,
    subject: str,
    command: Sequence[str] = (),
    harness: str = __version__,
) -> str:
    """A hash of what a play is made of, as hexadecimal digits; its id in run directories, reports and campaigns.

    A track record has ids of its own (`harness.record.identity.record_id`), which do not change with the title.

    Args:
        scenario: its text and its cell count; where its file lies does not.
        torch: the version that the ranks' torch says, with its build; empty for ranks without one.
        command: argv of the subject `command`.
    """
    cell = [list(pair) for pair in scenario.cell]
    parts = [scenario.text, cell, seed, torch, subject, list(command), harness]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:DIGITS]
