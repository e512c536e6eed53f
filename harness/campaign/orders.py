"""What the driver of a campaign asks of a machine, and what the machine says: one line of JSON each.

{"version": 2, "want": "facts", "options": {...}}     {"facts": {...}}
{"version": 2, "want": "torch", "options": {...}, "scenarios": [...], "plays": [...]}
                        {"torch": "2.9.1+cu128"}
{"version": 2, "want": "plays", "options": {...}, "scenarios": [...], "plays": [...]}
                        {"shard": "begun"}, then for each play {"begun": ID} and {"result": {"play": ID, ...}}
{"version": 2, "want": "record", ...}
                        as for plays; each result also has `observed` and `outcomes`, as a track record keeps them

Where the interpreter is `torch:VERSION` the machine installs that release first; it says {"note": TEXT} meanwhile, and
{"refused": WHY} if it cannot have it, or if it has another build than `build`.
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

VERSION = 2
FACTS, TORCH, PLAYS, RECORD = WANTS = ("facts", "torch", "plays", "record")


@dataclass(frozen=True)
class PlayOrder:
    """One play: its id, the cell, which repetition it is, and its seed."""

    play: str
    scenario: Scenario
    attempt: int
    seed: int


@dataclass(frozen=True)
class MachineOrder:
    """What a machine is asked for: its facts, the build of a torch, or plays.

    Attributes:
        plays: for the build of a torch those of the cells by which it is found out.
        limit: bytes that all installed releases of torch may take there together.
        build: of torch that the plays must have; empty is any.
    """

    want: str
    options: RunOptions
    plays: tuple[PlayOrder, ...] = ()
    limit: int = 0
    build: str = ""

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
            "limit": self.limit,
            "build": self.build,
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
        options = decode(fields.value("options"), RunOptions)
        return cls(fields.one_of("want", WANTS), options, plays, fields.whole("limit"), fields.text("build"))


def _play(row: Any, scenarios: Sequence[Scenario]) -> PlayOrder:
    play, place, attempt, seed = row
    return PlayOrder(str(play), scenarios[place], int(attempt), int(seed))
