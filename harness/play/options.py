"""How a run is played: one value from the command line to the controller; and what a controller is asked to play."""

from __future__ import annotations

import json
import os
import sys
from dataclasses import dataclass
from pathlib import Path

from harness.scenario.codec import decode, encode
from harness.scenario.scenario import Scenario

TORCHLESS = ("echo", "command")
"""Subjects whose ranks need no torch."""

SUBJECTS = ("static", "static-strict", *TORCHLESS)
"""Subjects that always exist; any other is a backend that the ranks' torch must have registered."""

AUTO, EMBEDDED, REAL = "auto", "embedded", "real"
"""Which proxy server: a toxiproxy-server if there is one, else the engine that comes with the harness; or one of these.
Any other choice is the URL of a running server."""


def is_url(toxiproxy: str) -> bool:
    """Whether the choice is a server that the harness did not start."""
    return toxiproxy not in (AUTO, EMBEDDED, REAL)


@dataclass(frozen=True)
class RunOptions:
    """How every scenario of a run is played; a controller gets it as JSON.

    Attributes:
        subject: as torchrun names it, or `echo`, or `command`.
        command: argv of `command`.
        python: the ranks' interpreter.
        toxiproxy: `auto`: a toxiproxy-server if this machine has one, else the embedded engine; `embedded`; `real`;
            or the URL of a running server, on loopback.
        isolation: `auto`, `private` or `host`.
        world: play everything in this kind of world, whatever the files say; None: as they say.
        jobs: worlds side by side; None is twice the number of processors, since worlds mostly wait.
        seed: None draws one.
        runs_dir: the folder of the run directories.
        keep: how many run directories stay; see `harness.archive.RunDirs`.
        require: kinds of need (`torch`, `world`, `proxy`, ...) whose absence is an error instead of a skip.
        replays: how often a play that says nothing is played again, because a part of the harness stood still, or
            processes were late.
    """

    subject: str = "static"
    command: tuple[str, ...] = ()
    python: str = sys.executable
    toxiproxy: str = AUTO
    isolation: str = "auto"
    world: str | None = None
    jobs: int | None = None
    seed: int | None = None
    runs_dir: Path = Path(".rdzv/runs")
    keep: int = 50
    require: frozenset[str] = frozenset()
    replays: int = 2

    @property
    def worlds(self) -> int:
        """How many worlds side by side."""
        return self.jobs or 2 * (os.cpu_count() or 1)

    @property
    def needs_torch(self) -> bool:
        """Whether the ranks of this subject need torch."""
        return self.subject not in TORCHLESS

    def to_json(self) -> str:
        return json.dumps(encode(self, RunOptions))

    @classmethod
    def from_json(cls, text: str) -> RunOptions:
        """The options that `to_json` wrote; raises ValueError for anything else."""
        options: RunOptions = decode(json.loads(text), RunOptions)
        return options


ORDER_VERSION = 3
"""Of the JSON of an order; a controller refuses any other. It changes with every field of what an order contains."""


@dataclass(frozen=True)
class Order:
    """What a controller is asked to play.

    Attributes:
        run_dir: laid out already; receives plan, operations, logs, stacks and history.
    """

    scenario: Scenario
    run_dir: Path
    options: RunOptions
    seed: int = 0

    @property
    def subject(self) -> str:
        return self.options.subject

    @property
    def command(self) -> tuple[str, ...]:
        return self.options.command

    def to_json(self) -> str:
        """One line; raises HarnessError if an attribute of a scenario is nothing that JSON can hold."""
        return json.dumps({"version": ORDER_VERSION, "order": encode(self, Order)}, allow_nan=False)

    @classmethod
    def from_json(cls, text: str | bytes) -> Order:
        """The order that `to_json` wrote; raises ValueError, which says where, for anything else."""
        try:
            row = json.loads(text)
        except RecursionError:
            raise ValueError("it is nested too deeply") from None
        if not isinstance(row, dict) or row.keys() != {"version", "order"}:
            raise ValueError("an order has a version and an order")
        if row["version"] != ORDER_VERSION:
            raise ValueError(f"version {row['version']!r:.20} of an order in place of {ORDER_VERSION}")
        order: Order = decode(row["order"], Order)
        return order
