"""What a controller is started with, and what it is asked to play."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from harness.scenario.scenario import Scenario

TORCHLESS = ("echo", "command")
"""Subjects whose ranks need no torch."""

SUBJECTS = ("static", "static-strict", *TORCHLESS)
"""Subjects that are there in any case; any other is a backend that the ranks' torch must have."""

AUTO, EMBEDDED, REAL = "auto", "embedded", "real"
"""Which proxy server: a toxiproxy-server if there is one, else the engine that comes with the harness; or one of these.
Any other choice is the URL of a running server."""


def is_url(toxiproxy: str) -> bool:
    """Whether the choice is a server that somebody else started."""
    return toxiproxy not in (AUTO, EMBEDDED, REAL)


@dataclass(frozen=True)
class Settings:
    """The settings of one controller, handed over as JSON in its argument.

    Attributes:
        python: the ranks' interpreter.
        toxiproxy: `auto`, `embedded`, `real`, or the URL of a server that is not ours.
        log_dir: for the logs of what outlives a play: zygote, proxy server.
        world: the kind of world that it will mostly play in, made when it starts.
    """

    subject: str
    python: str
    toxiproxy: str
    log_dir: str
    world: str = "processes"

    def to_json(self) -> str:
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Settings:
        """The settings that `to_json` wrote."""
        return cls(**json.loads(text))


@dataclass(frozen=True)
class Order:
    """What is to be played.

    Attributes:
        run_dir: laid out already; receives plan, operations, logs, stacks and history.
        subject, command: as on the command line.
    """

    scenario: Scenario
    run_dir: Path
    subject: str
    command: tuple[str, ...] = ()
    seed: int = 0
