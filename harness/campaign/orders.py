"""What the driver of a campaign asks of a machine, and what the machine says: one line of JSON each.

{"version": 1, "want": "facts", "options": {...}}     {"facts": {...}}
{"version": 1, "want": "plays", "options": {...}, "scenarios": [...], "plays": [...]}
                        {"shard": "begun"}, then for each play {"begun": ID} and {"result": {"play": ID, ...}}
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from harness.play.options import RunOptions
from harness.scenario.codec import decode, encode
from harness.scenario.scenario import Scenario
from harness.values.json import Fields

VERSION = 1
FACTS, PLAYS = "facts", "plays"


@dataclass(frozen=True)
class PlayOrder:
    """One play: its id, the cell, which repetition it is, and its seed."""

    play: str
    scenario: Scenario
    attempt: int
    seed: int


@dataclass(frozen=True)
class MachineOrder:
    """What a machine is asked for: its facts, or plays."""

    want: str
    options: RunOptions
    plays: tuple[PlayOrder, ...] = ()

    def to_json(self) -> str:
        """One line; each scenario stands there once."""
        scenarios: dict[int, tuple[int, Scenario]] = {}
        rows: list[Any] = []
        for play in self.plays:
            place, _ = scenarios.setdefault(id(play.scenario), (len(scenarios), play.scenario))
            rows.append([play.play, place, play.attempt, play.seed])
        order = {
            "version": VERSION,
            "want": self.want,
            "options": encode(self.options, RunOptions),
            "scenarios": [encode(scenario, Scenario) for _, scenario in scenarios.values()],
            "plays": rows,
        }
        return json.dumps(order, allow_nan=False)

    @classmethod
    def from_json(cls, text: str) -> MachineOrder:
        """The order that `to_json` wrote; raises ValueError for anything else."""
        fields = Fields(json.loads(text))
        if fields.whole("version") != VERSION:
            raise ValueError(f"an order of version {fields.whole('version')}, and this is for {VERSION}")
        scenarios = [decode(row, Scenario) for row in fields.items("scenarios")]
        plays = tuple(_play(row, scenarios) for row in fields.items("plays"))
        return cls(fields.one_of("want", (FACTS, PLAYS)), decode(fields.value("options"), RunOptions), plays)


def _play(row: Any, scenarios: Sequence[Scenario]) -> PlayOrder:
    play, place, attempt, seed = row
    return PlayOrder(str(play), scenarios[place], int(attempt), int(seed))
