"""The plan of a play for its rank processes: their steps and their handlers, as JSON that any interpreter reads."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any, Dict, Mapping, Optional, Tuple

from harness.values.endpoint import Endpoint

JOIN = "rendezvous"
"""The verb of the rendezvous."""


@dataclass(frozen=True)
class HandlerPlan:
    """The arguments of a handler, with its addresses.

    Attributes:
        rank, world_size, run_id, config: from the scenario.
        timeout_ns: nanoseconds.
        host, port: the link's address; for the master, and under `route: direct`, the real endpoint.
        master_host, master_port: always the real endpoint.
        endpoint: what the subject gets in place of host and port; None for these.
    """

    rank: int
    world_size: int
    run_id: str
    timeout_ns: int
    host: str
    port: int
    master_host: str
    master_port: int
    config: Mapping[str, str] = field(default_factory=dict)
    endpoint: Optional[str] = None

    @property
    def given_endpoint(self) -> str:
        """The endpoint as the subject gets it; perhaps none at all."""
        return str(Endpoint(self.host, self.port)) if self.endpoint is None else self.endpoint


@dataclass(frozen=True)
class StepPlan:
    """A step; a `gated` one may begin only when the controller says so."""

    index: int
    name: str
    do: str
    ranks: Tuple[int, ...]
    arguments: Mapping[str, Any]
    handler: str
    thread: str
    life: Optional[int]
    times: int
    gated: bool


@dataclass(frozen=True)
class RankPlan:
    """One rank process: its environment, and the arguments of its handlers by name.

    Attributes:
        argv: of the subject `command`, the rank's program and its words; empty means the plan's `command`.
    """

    env: Mapping[str, str]
    handlers: Mapping[str, HandlerPlan]
    fresh: bool = False
    argv: Tuple[str, ...] = ()


@dataclass(frozen=True)
class StepModule:
    """A module with steps of another package, which need not be installed where the ranks run.

    Attributes:
        name: as it is imported.
        file: for tracebacks; it need not be there.
        source: its text.
    """

    name: str
    file: str
    source: str


@dataclass(frozen=True)
class Plan:
    """One play for all its ranks: written once and read by each.

    Attributes:
        subject: `static`, any backend of torch's registry, `echo` or `command`.
        command: argv of `command`; empty otherwise.
        seed: the run's seed.
        ranks: by rank process.
        max_restarts: of torchrun agents; None if the ranks are not agents.
        step_modules: the modules of other packages that declare some of the steps.
    """

    subject: str
    command: Tuple[str, ...]
    seed: int
    steps: Tuple[StepPlan, ...]
    ranks: Tuple[RankPlan, ...]
    max_restarts: Optional[int] = None
    step_modules: Tuple[StepModule, ...] = ()

    def argv_of(self, rank: int) -> Tuple[str, ...]:
        """The program of a rank of the subject `command`, and its words."""
        return self.ranks[rank].argv or self.command

    def steps_of(self, rank: int, life: int) -> Tuple[StepPlan, ...]:
        """The steps of one life of a rank, in order."""
        return tuple(step for step in self.steps if rank in step.ranks and step.life in (None, life))

    def to_json(self) -> Dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, row: Mapping[str, Any]) -> Plan:
        """The plan that `to_json` wrote."""
        return cls(
            subject=row["subject"],
            command=tuple(row["command"]),
            seed=row["seed"],
            steps=tuple(StepPlan(**{**step, "ranks": tuple(step["ranks"])}) for step in row["steps"]),
            ranks=tuple(
                RankPlan(
                    env=rank["env"],
                    handlers={name: HandlerPlan(**plan) for name, plan in rank["handlers"].items()},
                    fresh=rank["fresh"],
                    argv=tuple(rank.get("argv", ())),
                )
                for rank in row["ranks"]
            ),
            max_restarts=row.get("max_restarts"),
            step_modules=tuple(StepModule(**module) for module in row.get("step_modules", ())),
        )
