"""What a stored result belongs to: the digest of a scenario, the name of a cell, the id of a play in a record."""

from __future__ import annotations

import json
from functools import lru_cache
from hashlib import sha256
from pathlib import Path
from typing import Any

from harness import __version__
from harness.loader import load_keys
from harness.scenario.builtin import PREFIX
from harness.scenario.scenario import Scenario

DIGITS = 12
ID_DIGITS = 16

NOT_PLAYED = ("schema", "title", "tags", "refs", "known")
"""Keys of a scenario that change neither what is played nor what is claimed.

So the record of a scenario outlives a corrected `known` entry, and what the record says can correct one.
"""


def digest(scenario: Scenario) -> str:
    """A hash of what a scenario plays and claims: of its keys without those of `NOT_PLAYED`; comments do not count."""
    return _digest(scenario.text)


@lru_cache(maxsize=1024)
def _digest(text: str) -> str:
    keys = {key: value for key, value in load_keys(text, Path("scenario")).items() if key not in NOT_PLAYED}
    return _hash(keys, DIGITS)


def cell_name(scenario: Scenario) -> str:
    """`FOLDER/NAME[CELL]`, the same for a built-in scenario and for its file."""
    folder = Path(str(scenario.path).removeprefix(PREFIX)).parent.name
    return f"{folder}/{scenario.id}" if folder else scenario.id


def record_id(scenario: Scenario, seed: int, torch: str, subject: str, harness: str = __version__) -> str:
    """The id of a play in a record: the same wherever and whenever it is played.

    It is not the id that a run directory has (`harness.archive.play_id`): that one is of a scenario's whole text, and
    this one of its digest, so that a recorded play outlives another title, and a corrected `known` entry.

    Args:
        torch: the version with its build, as the ranks' interpreter says.
    """
    cell = [list(pair) for pair in scenario.cell]
    return _hash([digest(scenario), cell, seed, torch, subject, harness], ID_DIGITS)


def _hash(value: Any, digits: int) -> str:
    return sha256(json.dumps(value, sort_keys=True, default=str).encode()).hexdigest()[:digits]
