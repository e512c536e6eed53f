"""A scenario as values: everything that a file says, resolved for one cell of its matrix and ready to be played."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from harness.scenario.moment import START, Moment
from harness.values.quantity import Duration

EXIT = "exit"
"""The name of the step that ends each rank; files do not write it."""


ABSENT: Any = type("Absent", (), {"__repr__": lambda self: "ABSENT"})()
"""The claim says nothing about a value (None is a value)."""


@dataclass(frozen=True)
class HandlerConfig:
    """The configuration of one handler of one rank process.

    Attributes:
        rank: the rank that it is given (`as_rank`), not the number of the process. The master is given rank 0.
        timeout_ns: the timeout in nanoseconds; `config` may override what the subject sees of it.
        host, port: the real endpoint; None means the master's host, and the world's free port.
        config: passed to the subject as it is.
        endpoint: passed to the subject as it is, in place of host and port; None means that these are.
    """

    rank: int
    world_size: int
    run_id: str
    timeout_ns: int
    host: str | None = None
    port: int | None = None
    config: Mapping[str, str] = field(default_factory=dict)
    endpoint: str | None = None


@dataclass(frozen=True)
class RankSpec:
    """The specification of one rank process.

    Attributes:
        start: when it starts; None is `never`.
        env: environment variables, with the world's.
        fresh: whether it needs a new interpreter.
        handlers: configurations by handler name, with every handler that its steps use.
        guard_ns: a call longer than this is hung (a `sleep` has its `for` on top).
        argv: the rank's own program, in a scenario of a job; empty means the world's, as `Job.argv` has it.
    """

    start: Moment | None
    env: Mapping[str, str]
    fresh: bool
    handlers: Mapping[str, HandlerConfig]
    guard_ns: int
    argv: tuple[str, ...] = ()


@dataclass(frozen=True)
class Job:
    """The workload is a program of one's own, which the subject `command` runs as each rank.

    Attributes:
        argv: the words of that program, placeholders not yet filled in; empty means those behind `--`.
    """

    argv: tuple[str, ...] = ()


@dataclass(frozen=True)
class World:
    """The world of ranks: `ranks[n]` is rank process n.

    Attributes:
        family: `ipv4` or `ipv6`: the only kind of addresses in a world with hosts.
    """

    size: int
    timeout_ns: int
    kind: str = "processes"
    family: str = "ipv4"
    route: str = "proxy"
    guard: Duration = field(default_factory=lambda: Duration(5_000_000_000, 2.0))
    run_id: str = "train"
    env: Mapping[str, str] = field(default_factory=dict)
    fresh: bool = False
    ranks: tuple[RankSpec, ...] = ()
    torchrun: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class Step:
    """One line of the workload.

    Attributes:
        name: unique in the scenario (an unwritten duplicate gets `.2`, `.3` behind it).
        do: the verb.
        arguments: those of the verb, converted, with defaults.
        life: None means every life.
        times: number of calls (`calls` of a `mix`).
        after: None means when the step above has ended.
        line: in the file, from 1.
    """

    name: str
    do: str
    ranks: tuple[int, ...]
    arguments: Mapping[str, Any]
    handler: str = "main"
    thread: str = "main"
    life: int | None = None
    times: int = 1
    after: Moment | None = None
    line: int = 0


@dataclass(frozen=True)
class Fault:
    """One line of the faults.

    Attributes:
        ranks: the ranks that it hits, resolved; of port and host faults those that it concerns, else empty.
        attributes: converted, with defaults.
        stream: `upstream`, `downstream` or `both`; None for a fault without a stream.
        until: when it is healed; None is the end of the play (`for: D` is `FaultMoment(name, "injected", D)`).
        restarts_ranks: whether its healing before the end of the play starts the next life of the ranks that it ended.
        suspends_ranks: whether its ranks neither run nor begin while it is held.
    """

    name: str
    kind: str
    ranks: tuple[int, ...]
    attributes: Mapping[str, Any]
    stream: str | None = None
    toxicity: float = 1.0
    after: Moment = START
    until: Moment | None = None
    line: int = 0
    restarts_ranks: bool = False
    suspends_ranks: bool = False

    @property
    def streams(self) -> tuple[str, ...]:
        """The directions in which it works: `both` is two."""
        return ("upstream", "downstream") if self.stream == "both" else (self.stream,) if self.stream else ()


@dataclass(frozen=True)
class StepClaim:
    """A claim about calls.

    Attributes:
        steps: unique names of the steps.
        ranks: empty means all ranks that the step names.
        life: None means the last life that has the step.
        outcomes: any of `ok`, `failed`, `died`, `skipped`, `hung`.
        count: (lowest, highest) number of calls that must be as claimed; None means every call.
        value: what it returned (of a mapping the keys given); `ABSENT` means that any value will do.
        one_of: the values of which one was returned; empty means that any value will do.
        errors: classes of which the raised one or one of its bases is one; empty means that any class will do.
        messages: all contained in the first line, case ignored; `{host}`, `{port}`, `{run_id}` not yet filled in.
        within: (lower or None, upper) in ns, counted from `since`.
        since: None means the call's own begin.
        codes: exit codes of which the process ended with one; empty means that any will do.
        text: the claim as the file has it, for reports.
    """

    name: str
    steps: tuple[str, ...]
    ranks: tuple[int, ...] = ()
    life: int | None = None
    outcomes: tuple[str, ...] = ("ok", "failed")
    count: tuple[int, int] | None = None
    value: Any = ABSENT
    one_of: tuple[Any, ...] = ()
    errors: tuple[str, ...] = ()
    messages: tuple[str, ...] = ()
    within: tuple[int | None, int] | None = None
    since: Moment | None = None
    line: int = 0
    text: str = ""
    codes: tuple[int, ...] = ()


@dataclass(frozen=True)
class CheckClaim:
    """A claim that a checker judges; `parameters` are converted, with defaults."""

    name: str
    check: str
    parameters: Mapping[str, Any]
    line: int = 0
    text: str = ""


@dataclass(frozen=True)
class AnyClaim:
    """Claims of which one must hold, for all calls that it names."""

    name: str
    claims: tuple[StepClaim | CheckClaim, ...]
    line: int = 0
    text: str = ""


Claim = StepClaim | CheckClaim | AnyClaim


@dataclass(frozen=True)
class Known:
    """A known failure of one subject: exactly these claims break, and `instead` holds.

    Attributes:
        torch: a PEP 440 specifier; empty means every version.
        cells: path of the matrix to the labels that it fits; empty means every cell.
    """

    subject: str
    torch: str
    cells: Mapping[str, tuple[str, ...]]
    breaks: tuple[str, ...]
    instead: tuple[Claim, ...]
    because: str
    refs: tuple[str, ...]
    line: int = 0


@dataclass(frozen=True)
class Scenario:
    """One cell of one file.

    Attributes:
        path: the file, as the user named it; for messages and ids.
        cell: path of the matrix to label, in the order of the file; empty without a matrix.
        waived: standing invariants that do not count, with the reasons.
        text: the file as it was read.
        job: None where the workload is the harness's own steps.
    """

    path: Path
    title: str
    world: World
    steps: tuple[Step, ...]
    faults: tuple[Fault, ...] = ()
    expect: tuple[Claim, ...] = ()
    known: tuple[Known, ...] = ()
    waived: Mapping[str, str] = field(default_factory=dict)
    tags: tuple[str, ...] = ()
    refs: tuple[str, ...] = ()
    needs: Mapping[str, str] = field(default_factory=dict)
    cell: tuple[tuple[str, str], ...] = ()
    text: str = ""
    job: Job | None = None

    @property
    def name(self) -> str:
        """The file's name without its suffix: the claim in hyphens."""
        return self.path.name.removesuffix(".rdzv.yaml")

    @property
    def cell_id(self) -> str:
        """`timeout=3s,broken=cut`: the last part of each path, and the label; empty without a matrix."""
        return ",".join(f"{path.rsplit('.', 1)[-1]}={label}" for path, label in self.cell)

    @property
    def id(self) -> str:
        """The scenario's name, with the cell in brackets."""
        return f"{self.name}[{self.cell_id}]" if self.cell else self.name

    def step(self, name: str) -> Step:
        """The step of that unique name; raises KeyError."""
        for step in (*self.steps, EXIT_STEP):
            if step.name == name:
                return step
        raise KeyError(name)

    def ranks_of(self, step: str) -> tuple[int, ...]:
        """The rank processes that a step names; `exit` names all."""
        return tuple(range(self.world.size)) if step == EXIT else self.step(step).ranks

    def steps_of(self, rank: int, life: int, thread: str | None = None) -> tuple[Step, ...]:
        """The steps of one life of a rank, in order, without `exit`."""
        return tuple(
            step
            for step in self.steps
            if rank in step.ranks and step.life in (None, life) and thread in (None, step.thread)
        )

    def steady_state(self) -> Scenario:
        """The same world without faults: all ranks start at once and join. It checks whether a red verdict counts."""
        ranks = tuple(
            RankSpec(
                start=START,
                env=self.world.env,
                fresh=self.world.fresh,
                handlers={"main": HandlerConfig(rank, self.world.size, "steady-state", self.world.timeout_ns)},
                guard_ns=self.world.guard.resolve(self.world.timeout_ns),
                argv=self.world.ranks[rank].argv if self.world.ranks else (),
            )
            for rank in range(self.world.size)
        )
        everybody = tuple(range(self.world.size))
        join = Step("rendezvous", "rendezvous", everybody, {})
        return replace(
            self,
            title=f"Steady state of: {self.title}",
            world=replace(self.world, ranks=ranks, torchrun=None),
            steps=(join,),
            faults=(),
            expect=(StepClaim("joins", ("rendezvous",), outcomes=("ok",)),),
            known=(),
            waived={},
            cell=(),
        )


EXIT_STEP = Step(EXIT, EXIT, (), {})
