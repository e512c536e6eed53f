"""Whether keys make a scenario, told without writing them as a file: as the file itself says."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import pytest

from harness.loader import is_scenario, load_mapping
from harness.values.errors import ScenarioError

SOUND: dict[str, Any] = {
    "schema": "rdzv-scenario/v1",
    "title": "A worker joins over a slow link",
    "world": {"size": 2, "timeout": "1s", "ranks": {1: {"start": "10ms"}}},
    "workload": [
        {"id": "join", "do": "rendezvous"},
        {"id": "sum", "do": "add", "ranks": 1, "key": "n", "amount": 2, "after": ["join", "slow"]},
    ],
    "faults": [{"id": "slow", "inject": "latency", "ranks": 1, "stream": "both", "latency": "2ms", "for": "1s"}],
    "expect": [{"check": "invariants"}, {"step": "sum", "is": "ok", "value": 2}],
}


def changed(*path: str | int, value: Any) -> dict[str, Any]:
    """The keys with one value in place of another."""
    found: Any = deepcopy(SOUND)
    inner = found
    for part in path[:-1]:
        inner = inner[part]
    inner[path[-1]] = value
    return dict(found)


@pytest.mark.parametrize(
    ("keys", "loads"),
    [
        (SOUND, True),
        (changed("world", "size", value=3), True),
        (changed("world", "size", value="3"), False),
        (changed("world", "size", value=0), False),
        (changed("world", "timeout", value=1), False),
        (changed("world", "ranks", value={5: {"start": "10ms"}}), False),
        (changed("workload", 1, "do", value="subtract"), False),
        (changed("workload", 1, "amount", value="two"), False),
        (changed("workload", 1, "after", value="nothing"), False),
        (changed("workload", value=[]), False),
        (changed("faults", 0, "latency", value="2 parsecs"), False),
        (changed("faults", 0, "after", value="sum"), False),
        (changed("faults", 0, "toxicity", value=0.5), True),
        (changed("expect", 1, "is", value=True), False),
    ],
)
def test_keys_make_a_scenario_exactly_if_their_file_loads(keys: dict[str, Any], loads: bool) -> None:
    """Whatever is wrong with them: a type, a range, a name, or a circle of moments."""
    try:
        from_file = bool(load_mapping(keys, "x"))
    except ScenarioError:
        from_file = False
    assert (is_scenario(keys), from_file) == (loads, loads)
