"""What each rank process is told and given: the nearest of step, rank and world wins."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from harness.loader.keys.models import TOLD_KEYS, RankKeys, World
from harness.loader.keys.names import Entry, ReportProblem
from harness.loader.tree.nodes import Location
from harness.rank.steps import STEPS
from harness.scenario.scenario import HandlerConfig, Step
from harness.values.quantity import Duration

SECOND_NS = 1_000_000_000
DEFAULT_TIMEOUT_NS = 5 * SECOND_NS
DEFAULT_GUARD = Duration(5 * SECOND_NS, 2.0)
DEFAULT_RUN_ID = "train"

READ_AT_IMPORT = ("TORCH_", "OMP_", "LD_", "PYTHON")
"""Variables that a process reads when it imports: a rank cloned from a warm one would never see them."""

RanksByNumber = Mapping[int, tuple[str | int, RankKeys]]
"""By number of the rank, the key in the file and what it holds."""

# Verbs that need no handler, but are told where the endpoint of theirs is.
_TOLD_THE_ENDPOINT = ("bind",)


def needs_fresh(env: Mapping[str, str]) -> bool:
    """Whether an environment only works in a new interpreter."""
    return any(name.startswith(READ_AT_IMPORT) for name in env)


def read_timeout(
    duration: Duration | None, location: Location, report: ReportProblem, world_timeout_ns: int | None
) -> int | None:
    """A timeout that handlers are told, in nanoseconds; None if it is absent. Fractions of a second are a problem.

    Args:
        world_timeout_ns: `timeout` in a duration; None for the world's own.
    """
    if duration is None:
        return None
    if world_timeout_ns is None and duration.timeouts:
        report(location, "the world's timeout cannot be told in terms of itself", "write seconds: 5s")
        return DEFAULT_TIMEOUT_NS
    timeout_ns = duration.resolve(world_timeout_ns or 0)
    if timeout_ns <= 0:
        report(
            location,
            "a timeout must be longer than nothing",
            'write 1s or more, or hand it on raw: `config: {timeout: "0"}`',
        )
        return DEFAULT_TIMEOUT_NS
    if timeout_ns % SECOND_NS:
        seconds = f"{timeout_ns / SECOND_NS:g}"
        hint = f'write whole seconds, or hand it on raw: `config: {{timeout: "{seconds}"}}`'
        report(location, f"{seconds} s is not a whole number of seconds, and stock would cut it", hint)
    return timeout_ns


def rank_keys(world: World, report: ReportProblem) -> RanksByNumber:
    """By number of the rank, the key in the file and what it holds."""
    found: dict[int, tuple[str | int, RankKeys]] = {}
    for key, keys in (world.ranks or {}).items():
        location = ("world", "ranks", key)
        number = int(key) if isinstance(key, int) or (key.isascii() and key.isdigit() and len(key) < 8) else None
        if number is None:
            report(location, f"{key!r} is not a rank", f"write its number, 0 to {world.size - 1}", key=True)
        elif not 0 <= number < world.size:
            hint = f"ranks are 0 to {world.size - 1}"
            report(location, f"there is no rank {number} in a world of size {world.size}", hint, key=True)
        elif number in found:
            report(location, f"rank {number} is given twice", "put both into one", key=True)
        else:
            found[number] = (key, keys)
    return found


@dataclass(frozen=True)
class HandlerBuilder:
    """A step that builds a handler, with what it tells it."""

    step: Step
    entry: Entry

    @property
    def keys(self) -> dict[str, Any]:
        """The keys of the step that configure its handler."""
        keys = self.entry.keys()
        return {name: getattr(keys, name) for name in TOLD_KEYS if getattr(keys, name) is not None}


class ConfigResolver:
    """What the handlers of each rank are told."""

    def __init__(self, world: World, ranks: RanksByNumber, timeout_ns: int, report: ReportProblem) -> None:
        self._world = world
        self._ranks = ranks
        self._timeout_ns = timeout_ns
        self._report = report

    def configs(self, rank: int, steps: Sequence[Step], builders: Sequence[HandlerBuilder]) -> dict[str, HandlerConfig]:
        """By handler name, what each is told; every handler that the rank's steps use is among them."""
        by_name = self._builders(rank, builders)
        users = [step.handler for step in steps if rank in step.ranks and _uses_handler(step)]
        names = dict.fromkeys([*by_name, *users])
        return {name: self._one(rank, by_name.get(name)) for name in names or {"main": None}}

    def _builders(self, rank: int, builders: Sequence[HandlerBuilder]) -> dict[str, HandlerBuilder]:
        """By handler name, the step of this rank that builds it; a later one that tells it something is a problem."""
        found: dict[str, HandlerBuilder] = {}
        for builder in builders:
            if rank not in builder.step.ranks:
                continue
            first = found.setdefault(builder.step.handler, builder)
            if first is not builder:
                for key in builder.keys:
                    location = (*builder.entry.location, key)
                    message = f"handler {builder.step.handler!r} is built by the step in line {first.step.line} already"
                    self._report(location, message, f"write `{key}` there, or name another `handler`", key=True)
        return found

    def _one(self, rank: int, builder: HandlerBuilder | None) -> HandlerConfig:
        said = {**_said(self._world), **(_said(self._ranks[rank][1]) if rank in self._ranks else {})}
        said.update(builder.keys if builder is not None else {})
        timeout = said.get("timeout")
        return HandlerConfig(
            rank=said.get("as_rank", rank),
            world_size=said.get("world_size", self._world.size),
            run_id=said.get("run_id", DEFAULT_RUN_ID),
            timeout_ns=self._timeout_ns if timeout is None else timeout.resolve(self._timeout_ns),
            host=said.get("host"),
            port=said.get("port"),
            config=dict(said.get("config", {})),
        )

    def check_timeouts(self, builders: Sequence[HandlerBuilder]) -> None:
        """ReportProblem which timeouts could not be told."""
        for key, keys in self._ranks.values():
            read_timeout(keys.timeout, ("world", "ranks", key, "timeout"), self._report, self._timeout_ns)
        for builder in builders:
            timeout = builder.keys.get("timeout")
            read_timeout(timeout, (*builder.entry.location, "timeout"), self._report, self._timeout_ns)


def _said(keys: World | RankKeys) -> dict[str, Any]:
    return {name: value for name in TOLD_KEYS if (value := getattr(keys, name, None)) is not None}


def _uses_handler(step: Step) -> bool:
    member = STEPS[step.do]
    return bool(member.needs) or member.configures_handler or step.do in _TOLD_THE_ENDPOINT


def linked(told: Mapping[str, HandlerConfig]) -> bool:
    """Whether a rank has a link: any of its handlers is told anything but rank 0."""
    return any(one.rank != 0 for one in told.values())


def builders_of(steps: Sequence[Step], entries: Sequence[Entry]) -> Iterator[HandlerBuilder]:
    """The steps that may build a handler, in the order of the file."""
    for step, entry in zip(steps, entries, strict=True):
        if STEPS[step.do].configures_handler:
            yield HandlerBuilder(step, entry)
